"""The tracer inside a target: it sees requests and statements, changes nothing, and breaks nothing."""

import ast
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_apps import DESK

from tools.launch import INJECT
from tools.process import run
from tools.process_output import Finished
from tools.traces import Trace, read_trace

pytestmark = pytest.mark.app


async def run_python(folder: Path, *words: str, trace: Path | None = None, path: str = "", watch: str = "") -> Finished:
    modules = ":".join(filter(None, [str(INJECT) if trace else "", path]))
    environment = {"PATH": os.defpath, "PYTHONPATH": modules, "PYTHONDONTWRITEBYTECODE": "1", "PERFCREW_WATCH": watch}
    if trace:
        environment["PERFCREW_TRACE"] = str(trace)
    return await run([sys.executable, *words], cwd=folder, environment=environment, timeout=60)


async def traced_desk(folder: Path, *paths: str) -> tuple[Finished, Trace]:
    (folder / "desk.py").write_text(DESK)
    done = await run_python(folder, "desk.py", *paths, trace=folder / "trace")
    assert done.ok, done.err
    return done, read_trace(folder / "trace")


async def test_flask_and_sqlite(tmp_path: Path) -> None:
    done, trace = await traced_desk(tmp_path, "/loans/7", "/loans/8?x=1", "/loans/0", "/streamed", "/nowhere")
    answers = ['{"titles":["a","b"]}', "", '{"titles":["a","b"]}', "", "404", "onetwothree", "404"]
    assert done.out.splitlines() == answers
    seen = [(line["path"], line["query"], line["route"], line["status"]) for line in trace.requests]
    assert seen == [
        ("/loans/7", "", "/loans/<int:reader>", 200), ("/loans/8", "x=1", "/loans/<int:reader>", 200),
        ("/loans/0", "", "/loans/<int:reader>", 404), ("/streamed", "", "/streamed", 200), ("/nowhere", "", None, 404),
    ]  # fmt: skip
    assert trace.requests[0]["bytes"] == len(answers[0]) + 1
    assert trace.requests[3]["bytes"] == len("onetwothree")
    statements = trace.requests[0]["statements"]
    texts = [trace.texts[statement["id"]]["fingerprint"] for statement in statements]
    assert texts == [
        "CREATE TABLE loan (reader INT, title TEXT)", "INSERT INTO loan VALUES (?)",
        "SELECT title FROM loan WHERE reader = ?",
    ]  # fmt: skip
    assert [statement["site"].split(":")[0] for statement in statements] == ["desk.py"] * 3
    assert statements[2]["site"].endswith(" loans")
    assert statements[2]["rows"] == 2
    select, again = statements[2], trace.requests[1]["statements"][2]
    assert select["id"] == again["id"] and select["params"] != again["params"]
    assert [sample["params"] for sample in trace.texts[select["id"]]["samples"]] == [[7], [8]]


async def test_a_target_behaves_alike_with_and_without(tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    words = ("desk.py", "/loans/7", "/loans/0", "/streamed", "/nowhere")
    plain = await run_python(tmp_path, *words)
    traced = await run_python(tmp_path, *words, trace=tmp_path / "trace")
    assert (plain.code, plain.out) == (traced.code, traced.out)


PROBE = """
import json, sys
print(json.dumps({"path": sys.path, "modules": sorted(sys.modules), "site": sys.modules["sitecustomize"].__file__}))
"""


async def test_it_takes_itself_off_the_path_and_loads_what_it_shadowed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\nos.environ['SHADOWED'] = 'loaded'\n")
    (tmp_path / "probe.py").write_text(PROBE + "import os\nprint(os.environ['SHADOWED'])\n")
    done = await run_python(tmp_path, "probe.py", trace=tmp_path / "trace", path=str(tmp_path))
    assert done.ok, done.err
    told, shadowed = done.out.splitlines()
    assert shadowed == "loaded"
    known = json.loads(told)
    assert str(INJECT) not in known["path"]
    assert known["site"] == str(tmp_path / "sitecustomize.py")
    plain = json.loads((await run_python(tmp_path, "probe.py", path=str(tmp_path))).out.splitlines()[0])
    added = {name.split(".")[0] for name in set(known["modules"]) - set(plain["modules"])}
    assert "perfcrew_tracer" in added
    assert not added & {"sqlite3", "flask", "sqlalchemy", "asyncio", "pathlib", "urllib", "logging", "socket"}


async def test_without_a_folder_it_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text("import sys\nprint('perfcrew_tracer' in sys.modules)\n")
    done = await run_python(tmp_path, "probe.py", path=str(INJECT))
    assert (done.ok, done.out.strip()) == (True, "False")


async def test_a_folder_that_cannot_be_written_costs_lines_only(tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    (tmp_path / "trace").write_text("a file where a folder should be")
    done = await run_python(tmp_path, "desk.py", "/loans/7", trace=tmp_path / "trace")
    assert done.out.strip() == '{"titles":["a","b"]}'


LOADERS = """
import importlib.resources, inspect, sqlite3
assert inspect.getsource(sqlite3).startswith('#'), 'source'
assert type(sqlite3.__loader__).__name__ == 'SourceFileLoader', sqlite3.__loader__
assert type(sqlite3.__spec__.loader).__name__ == 'SourceFileLoader'
connection = sqlite3.connect(':memory:')
assert isinstance(connection, sqlite3.Connection)
connection.row_factory = sqlite3.Row
assert connection.execute('SELECT 1 AS one').fetchone()['one'] == 1
class Mine(sqlite3.Connection): pass
assert type(sqlite3.connect(':memory:', factory=Mine)) is Mine
try:
    connection.execute('nonsense')
except sqlite3.OperationalError as error:
    print('raised', error)
with connection:
    connection.executescript('CREATE TABLE a (b); INSERT INTO a VALUES (1)')
print(list(connection.execute('SELECT b FROM a'))[0]['b'])
"""


async def test_modules_keep_their_loaders_and_drivers_their_ways(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_text(LOADERS)
    done = await run_python(tmp_path, "probe.py", trace=tmp_path / "trace")
    assert done.ok, done.err
    assert done.out.splitlines() == ['raised near "nonsense": syntax error', "1"]


FORKED = """
import os, sys
import desk
client = desk.app.test_client()
child = os.fork()
assert client.get('/loans/%d' % (1 if child else 2)).data
if child:
    os.waitpid(child, 0)
"""


async def test_a_forked_worker_writes_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "desk.py").write_text(DESK)
    (tmp_path / "forked.py").write_text(FORKED)
    done = await run_python(tmp_path, "forked.py", trace=tmp_path / "trace")
    assert done.ok, done.err
    assert len(list((tmp_path / "trace").glob("*.jsonl"))) == 2
    assert sorted(line["path"] for line in read_trace(tmp_path / "trace").requests) == ["/loans/1", "/loans/2"]


def test_the_tracer_reads_as_python_3_9() -> None:
    sources = sorted(INJECT.rglob("*.py"))
    assert len(sources) > 5
    for path in sources:
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))


def test_the_tracer_imports_nothing_but_the_standard_library() -> None:
    def imported(path: Path) -> set[str]:
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {name.name.split(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(str(node.module).split(".")[0])
        return names

    found: set[Any] = set().union(*(imported(path) for path in INJECT.rglob("*.py")))
    assert found <= sys.stdlib_module_names
