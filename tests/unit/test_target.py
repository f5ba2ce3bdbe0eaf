"""Reading perfcrew.toml: what is right passes whole, and each mistake gets one line."""

from pathlib import Path

import pytest

from perfcrew.errors import UserError
from tools.target import load_target
from tools.target_checks import find_warnings

GOOD = """
protected = ["tests/**"]

[target]
name = "shop"
setup = ["{uv} venv {env}", "{uv} pip install --python {env}/bin/python -r requirements.txt"]
setup_inputs = ["requirements.txt"]
start = "{env}/bin/uvicorn shop:app --port {port}"
ready = "/health"
test = "{env}/bin/pytest -q"

[target.environment]
DATABASE_URL = "{database_url}"

[database]
engine = "sqlite"
seed = "{env}/bin/python seed.py"

[[workload]]
name = "items"
users = 4

[[workload.request]]
path = "/items/{id}"

[[workload.request]]
method = "POST"
path = "/search"
json = { query = "{word}", limit = 5 }
expect = [200, 201]

[workload.params]
id = [1, 2, 3]
word = ["red", "blue"]

[workload.held_out.params]
id = [7, 8]

[[probe]]
name = "cart"
request = [{ method = "POST", path = "/cart" }, { path = "/cart" }]

[[check]]
name = "fresh"
command = "{env}/bin/python checks/fresh.py {url} {base_url}"

[[goal]]
metric = "http.p95_ms"
workload = "items"
comparison = "at_most"
value = 300
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("fastapi\n")
    return tmp_path


def load(repo: Path, text: str) -> list[str]:
    """The mistakes in a description, without the file's name."""
    path = repo / "perfcrew.toml"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        load_target(repo, None)
    lines = str(caught.value).splitlines()
    assert all(line.startswith(f"{path}: ") for line in lines)
    return [line.removeprefix(f"{path}: ") for line in lines]


def test_a_right_description_is_read_whole(repo: Path) -> None:
    path = repo / "perfcrew.toml"
    path.write_text(GOOD)
    target, found = load_target(repo, None)
    assert found == path
    assert target.primary.request[1].json_body == {"query": "{word}", "limit": 5}
    assert target.primary.held_out is not None
    assert target.primary.held_out.params == {"id": (7, 8)}
    assert target.goal[0].value == 300
    assert find_warnings(target) == []


def test_a_description_may_lie_elsewhere(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("conf") / "shop.toml"
    elsewhere.write_text(GOOD)
    assert load_target(repo, elsewhere)[1] == elsewhere


def edit(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


PAGE = """
[[workload]]
name = "front"
kind = "page"
[workload.page]
path = "/front?id={id}"
[[workload.page.step]]
click = "#more"
[workload.params]
id = [1]
"""


def with_page(old: str = "", new: str = "") -> str:
    assert old in PAGE
    return GOOD + PAGE.replace(old, new, 1)


MISTAKES = {
    "page without what it is": (
        with_page('[workload.page]\npath = "/front?id={id}"\n[[workload.page.step]]\nclick = "#more"\n'),
        "workload 2 (front): a page workload needs [workload.page]",
    ),
    "page first": (
        "[target]\nname='a'\nstart='x {port}'\n[[workload]]\nname='w'\nkind='page'\npage={}",
        "workload w: expected an http, locust or command workload first, got a page; put one before it, such as the "
        "page's own requests",
    ),
    "page with requests": (
        with_page('kind = "page"', 'kind = "page"\nrequest = [{ path = "/" }]'),
        "workload front, request: expected none in a page workload, got one; [workload.page] says what is loaded",
    ),
    "page in a workload of another kind": (
        edit("users = 4", 'users = 4\npage = { path = "/" }'),
        "workload items, page: expected only where kind = \"page\", got it in a workload of kind 'http'",
    ),
    "page without the parameter's values": (
        with_page("id = [1]", "ids = [1]"),
        "workload front, page, path: expected params to define 'id', got {id} without values",
    ),
    "page step with two actions": (
        with_page('click = "#more"', 'click = "#more"\nfill = "#more"'),
        "workload 2 (front), page, step 1: a step needs either `click` or `fill`, a CSS selector",
    ),
    "page step without text": (
        with_page('click = "#more"', 'fill = "#more"'),
        "workload 2 (front), page, step 1: a step with `fill` needs `text`",
    ),
    "unknown throttling": (
        with_page('[[workload.page.step]]', 'throttling = "3g"\n[[workload.page.step]]'),
        "workload 2 (front), page, throttling: expected 'mobile', 'desktop' or 'none', got \"3g\"",
    ),
    "unknown key": (
        edit("users = 4", "user = 4"),
        "workload 1 (items), user: no such key; did you mean 'users'?",
    ),
    "unknown table": (edit("[[check]]", "[[checks]]"), "checks: no such key; did you mean 'check'?"),
    "unknown key deep down": (
        edit('json = { query = "{word}", limit = 5 }', "jsn = 1"),
        "workload 1 (items), request 2, jsn: no such key; did you mean 'json'?",
    ),
    "unknown key without a neighbour": (
        edit('name = "fresh"', 'name = "fresh"\nzzz = 1'),
        "check 1 (fresh), zzz: no such key; expected one of name, command",
    ),
    "wrong type": (edit("users = 4", 'users = "4"'), 'workload 1 (items), users: expected a whole number, got "4"'),
    "true is no number": (
        edit("users = 4", "users = true"),
        "workload 1 (items), users: expected a whole number, got true",
    ),
    "service without port": (
        edit('ready = "/health"', 'services = ["db.example.org"]'),
        "target, services: expected HOST:PORT, such as 127.0.0.1:6379 or db.example.org:5432, got 'db.example.org'",
    ),
    "list for text": (edit('ready = "/health"', "ready = []"), "target, ready: expected a text, got a list"),
    "text for list": (
        edit('setup_inputs = ["requirements.txt"]', 'setup_inputs = "requirements.txt"'),
        'target, setup_inputs: expected a list, got "requirements.txt"',
    ),
    "out of range": (
        edit("users = 4", "users = 0"),
        "workload 1 (items), users: expected greater than or equal to 1, got 0",
    ),
    "bad choice": (
        edit('engine = "sqlite"', 'engine = "oracle"'),
        "database, engine: expected 'sqlite', 'postgresql' or 'mysql', got \"oracle\"",
    ),
    "bad path": (
        edit('path = "/items/{id}"', 'path = "items/{id}"'),
        'workload 1 (items), request 1, path: expected a path that begins with /, got "items/{id}"',
    ),
    "bad name": (
        edit('name = "items"', 'name = "my items"'),
        'workload 1 (my items), name: expected letters, digits, dot, dash and underscore only, got "my items"',
    ),
    "parameter of a wrong type": (
        edit("id = [1, 2, 3]", "id = [1.5]"),
        "workload 1 (items), params, id 1: expected a text or a whole number, got 1.5",
    ),
    "model without a provider": (
        edit("[database]", '[models.roles]\ncoder = "gpt"\n\n[database]'),
        'models, roles, coder: expected anthropic/NAME, openai/NAME or openai-chat/NAME, got "gpt"',
    ),
    "model without a provider in the table": (
        edit("[database]", "[models.table.gpt]\ncontext = 4096\n\n[database]"),
        'models, table, gpt: expected anthropic/NAME, openai/NAME or openai-chat/NAME, got "gpt"',
    ),
    "unknown fact about a model": (
        edit("[database]", '[models.table."openai/x"]\ncontxt = 1\n\n[database]'),
        "models, table, openai/x, contxt: no such key",
    ),
    "budget of nothing": (
        edit("[database]", "[budget.roles.coder]\nusd = 0\n\n[database]"),
        "budget, roles, coder, usd: expected greater than 0, got 0",
    ),
    "missing start": (
        edit('start = "{env}/bin/uvicorn shop:app --port {port}"\n', ""),
        "target, start: expected the command that starts the application, with {port}, got nothing",
    ),
    "unknown placeholder": (
        edit("--port {port}", "--port {prot}"),
        "target, start: expected {env} {uv} {port} {workdir} {data} {database_url} {case}, got {prot}; "
        "did you mean {port}?",
    ),
    "placeholder too early": (
        edit('"{uv} venv {env}"', '"{uv} venv {env} --x {port}"'),
        "target, setup 1: expected {env} {uv} {workdir} {case}, got {port}",
    ),
    "url outside a check": (
        edit('test = "{env}/bin/pytest -q"', 'test = "curl {base_url}"'),
        "target, test: expected {env} {uv} {port} {workdir} {data} {database_url} {case}, got {base_url}; "
        "did you mean {database_url}?",
    ),
    "shell": (
        edit('test = "{env}/bin/pytest -q"', 'test = "cd x && pytest"'),
        "target, test: expected one command (there is no shell), got '&&'; write sh -c \"…\" if you need it",
    ),
    "variable before the command": (
        edit('test = "{env}/bin/pytest -q"', 'test = "CI=1 pytest"'),
        "target, test: expected a program first, got CI=…; set it in [target.environment]",
    ),
    "open quote": (
        edit('test = "{env}/bin/pytest -q"', "test = \"pytest -k 'x\""),
        "target, test: expected a command line, got one with no closing quotation",
    ),
    "empty command": (
        edit('test = "{env}/bin/pytest -q"', 'test = " "'),
        "target, test: expected a command, got an empty text",
    ),
    "no port": (
        edit(" --port {port}", ""),
        "target, start: expected {port} in it (or in [target.environment]), got none",
    ),
    "shared data": (
        edit('DATABASE_URL = "{database_url}"', 'DATABASE_URL = "sqlite:///x.db"'),
        "target, start: expected {database_url} or {data} in it or in [target.environment], "
        "so that each arm has data of its own",
    ),
    "undefined parameter": (
        edit('word = ["red", "blue"]', 'words = ["red"]'),
        "workload items, request 2: expected params to define 'word', got {word} without values; did you mean {words}?",
    ),
    "empty parameter": (
        edit("id = [1, 2, 3]", "id = []"),
        "workload items, params, id: expected at least one value, got an empty list",
    ),
    "held-out parameter that nothing uses": (
        edit("id = [7, 8]", "id = [7, 8]\nuid = [1]"),
        "workload items, held_out, params: expected names that a request uses, got 'uid'",
    ),
    "held-out values that are not other ones": (
        edit("id = [7, 8]", "id = [1, 2, 3]"),
        "workload items, held_out, params: expected other values than the workload's, got the same",
    ),
    "unknown metric": (
        edit('metric = "http.p95_ms"', 'metric = "http.p95"'),
        "goal 1, metric: expected a known metric, got 'http.p95'; did you mean 'http.p95_ms'?",
    ),
    "unknown workload": (
        edit('workload = "items"', 'workload = "item"'),
        "goal 1, workload: expected one of items, got 'item'",
    ),
    "ratio below one": (
        edit('comparison = "at_most"\nvalue = 300', 'comparison = "improve_by"\nvalue = 0.5'),
        "goal 1, value: expected a ratio above 1 (2.0 means twice as good), got 0.5",
    ),
    "missing file": (
        edit('setup_inputs = ["requirements.txt"]', 'setup_inputs = ["require.txt"]'),
        "target, setup_inputs 1: expected a file of the repository, got 'require.txt', which isn't there",
    ),
    "database file outside": (
        edit('engine = "sqlite"', 'engine = "sqlite"\nfile = "../x.db"'),
        "database, file: expected a file name inside the arm's data folder, got '../x.db'",
    ),
    "url with sqlite": (
        edit('engine = "sqlite"', 'engine = "sqlite"\nurl = "sqlite:///x"'),
        "database, url: expected only with engine 'postgresql', got it with 'sqlite'; use file",
    ),
    "glob outside": (
        edit('protected = ["tests/**"]', 'protected = ["/etc/**"]'),
        "protected: expected globs relative to the repository, got '/etc/**'",
    ),
    "status": (
        edit("expect = [200, 201]", "expect = [20]"),
        "workload items, request 2, expect: expected HTTP statuses, got 20",
    ),
    "syntax": (
        "[target\nname = 1",
        "not valid TOML: expected ']' at the end of a table declaration (at line 1, column 8)",
    ),
    "no workload": (
        "[target]\nname='a'\nstart='x {port}'",
        "workload: expected at least one [[workload]], got nothing",
    ),
    "http workload without a request": (
        "[target]\nname='a'\nstart='x {port}'\n[[workload]]\nname='w'",
        "workload 1 (w): an http workload needs at least one [[workload.request]]",
    ),
    "two of one name": (
        "[target]\nname='a'\nstart='x {port}'\n" + "[[workload]]\nname='w'\n[[workload.request]]\npath='/'\n" * 2,
        "workload, name: expected different names, got 'w' twice",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_each_mistake_takes_one_line(repo: Path, case: str) -> None:
    text, expected = MISTAKES[case]
    lines = load(repo, text)
    assert len(lines) == 1
    assert lines[0] == expected


def test_all_mistakes_of_a_file_are_told_at_once(repo: Path) -> None:
    text = edit("users = 4", "user = 4").replace("expect = [200, 201]", "expext = [200]")
    assert len(load(repo, text)) == 2
    assert len(load(repo, edit("{port}", "{prot}").replace('"http.p95_ms"', '"x"'))) == 2


def test_a_page_needs_no_held_out_variant(repo: Path) -> None:
    (repo / "perfcrew.toml").write_text(with_page())
    target, _ = load_target(repo, None)
    assert target.workload[-1].page is not None and target.workload[-1].page.step[0].click == "#more"
    assert not any(line.startswith("workload front") for line in find_warnings(target))


def test_where_there_is_no_description(repo: Path) -> None:
    with pytest.raises(UserError, match=r"perfcrew\.toml: not found; `perfcrew init` writes a first version"):
        load_target(repo, None)
    with pytest.raises(UserError, match="no such folder"):
        load_target(repo / "nowhere", None)


def test_what_weakens_the_proof_is_said(repo: Path) -> None:
    (repo / "perfcrew.toml").write_text(
        "[target]\nname='a'\nstart='x {port} {data}'\n[database]\nengine='sqlite'\n"
        "[[workload]]\nname='w'\nparams={id=[1]}\n[[workload.request]]\npath='/'\n"
    )
    lines = find_warnings(load_target(repo, None)[0])
    assert [line.partition(":")[0] for line in lines] == [
        "workload w", "target, test", "goal", "database", "workload w, params, id",
    ]  # fmt: skip


ROOT = Path(__file__).parents[2]
DESCRIPTIONS = [*ROOT.glob("evals/cases/*/perfcrew.toml"), *ROOT.glob("tests/apps/*/perfcrew.toml")]


@pytest.mark.parametrize("path", DESCRIPTIONS, ids=lambda path: path.parent.name)
def test_every_description_of_ours_loads(path: Path) -> None:
    app = path.parent / "app"
    target, _ = load_target(app if app.is_dir() else path.parent, path)
    assert not any("held_out" in line for line in find_warnings(target))


def test_the_description_in_the_readme_loads(repo: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    (repo / "perfcrew.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    (repo / "load").mkdir()
    for name in ("locustfile.py", "held_out.py"):
        (repo / "load" / name).write_text("from locust import HttpUser\n")
    target, _ = load_target(repo, None)
    assert [workload.kind for workload in target.workload] == ["http", "command", "locust", "page"]
