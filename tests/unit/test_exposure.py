"""What a patch newly exposes: each weakness is found where it is added, and its honest neighbour is let through."""

import ast
from collections.abc import Mapping
from pathlib import Path

import pytest
from target_repo import VARIABLES, make_workspace

from tools.exposure import CHECK, LIMITS, Exposed, screen_patch
from tools.exposure_caches import javascript_caches, python_caches
from tools.exposure_sql import javascript_statements, python_statements
from tools.process import run

BASE = {
    "app.py": "import hashlib\n\n\ndef old(db, name):\n    db.execute(f\"SELECT a FROM t WHERE n = '{name}'\")\n",
    "page.html": "<p>hello</p>\n",
    "requirements.txt": "flask==3.1\n",
}


async def _screen(tmp_path: Path, changed: Mapping[str, str], base: Mapping[str, str] = BASE) -> Exposed:
    workspace = await make_workspace(tmp_path, base, {})
    for name, text in changed.items():
        (workspace.clone / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.clone / name).write_text(text)
    for line in ("read-tree HEAD", f"add {' '.join(changed)}", "commit --quiet -m Second", "rev-parse HEAD"):
        done = await run(["git", *line.split()], cwd=workspace.clone, environment=VARIABLES, timeout=60)
        assert done.ok, done.err
    return await screen_patch(workspace, workspace.base_commit, done.out.strip())


async def test_only_what_is_new_counts(tmp_path: Path) -> None:
    moved = "import hashlib\n\n# moved down\n\n" + BASE["app.py"].split("\n\n\n")[1] + "\n\ndef tag(body):\n"
    found = await _screen(tmp_path, {"app.py": moved + "    return hashlib.md5(body).hexdigest()\n"})
    assert found.check.name == CHECK and found.check.passed, found
    assert any("S324, low" in line for line in found.concerns), "named all the same"
    assert "dependencies: none was added or changed" in found.concerns and LIMITS in found.concerns


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("load.py", "import pickle\n\n\ndef load(raw):\n    return pickle.loads(raw)  # nosec  # noqa: S301\n", "S301"),
        ("run.py", "import subprocess\n\n\ndef go(x):\n    subprocess.run(x, shell=True)\n", "S602"),
        ("pay.py", "STRIPE = 'sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc'  # pragma: allowlist secret\n", "secret"),
        ("key.js", "const password = 'x8Kq" + "27vTz1Lm';\n", "secret"),
        ("q.py", "def q(db, n):\n    return db.execute('SELECT a FROM t WHERE n = ' + n)\n", "[sql, high]"),
        ("q.js", "const q = (n) => db.query(`SELECT a FROM t WHERE n = '${n}'`);\n", "[sql, high]"),
        ("e.js", "module.exports = (x) => eval(x);\n", "node-eval"),
        ("requirements.txt", "flask==3.1\nfast @ git+https://example.org/fast\n", "installs from outside the index"),
    ],
)
async def test_what_refuses_a_patch(tmp_path: Path, name: str, text: str, told: str) -> None:
    found = await _screen(tmp_path, {name: text})
    assert not found.check.passed
    assert told in found.check.detail
    assert "4eC39" not in str(found) and "x8Kq27" not in str(found), "the secret itself goes nowhere"


async def test_a_dependency_is_named_with_what_offline_nobody_can_tell(tmp_path: Path) -> None:
    found = await _screen(tmp_path, {"requirements.txt": "flask==3.1\norjson==3.10\n", "new.py": "import orjson\n"})
    assert found.check.passed
    (line,) = [line for line in found.concerns if line.startswith("dependencies: ")]
    assert "orjson==3.10" in line and "flask" not in line and "can't be told offline: run pip-audit" in line
    assert any("imports orjson" in line for line in found.concerns)


@pytest.mark.parametrize(
    ("page", "passed"),
    [
        ('<input name="csrf_token" value="{{ csrf_token() }}">', False),
        ("<p>{{ query }}</p>", True),
        ("<form>{% csrf_token %}</form>", True),
    ],
)
async def test_compression_is_refused_where_a_response_carries_a_secret(
    tmp_path: Path, page: str, passed: bool
) -> None:
    changed = {
        "main.py": "from starlette.middleware.gzip import GZipMiddleware\n\napp.add_middleware(GZipMiddleware)\n"
    }
    found = await _screen(tmp_path, changed, {**BASE, "page.html": page})
    assert found.check.passed is passed
    assert passed or "page.html:1 puts a secret into one" in found.check.detail


SAFE_SQL = [
    'marks = ", ".join("?" for _ in ids)\ndb.execute(f"SELECT a FROM t WHERE id IN ({marks})", ids)',
    'db.execute("SELECT a FROM t WHERE id IN (%s)" % ",".join(["?"] * len(ids)), ids)',
    'names = ", ".join(f":p{n}" for n in range(len(ids)))\ndb.execute(f"SELECT a FROM t WHERE id IN ({names})")',
    'column = {"name": "n", "date": "d"}.get(ids, "n")\ndb.execute("SELECT a FROM t ORDER BY " + column)',
    'db.execute(f"SELECT {COLUMNS} FROM t LIMIT {int(ids)}")',
    'db.execute("SELECT a FROM t WHERE n = %s", (ids,))',
    'sql = "SELECT a FROM t"\nif ids:\n    sql += " WHERE n = ?"\ndb.execute(sql, ids)',
    'log(f"select one from {ids}" if False else f"selected {ids}")',
]
UNSAFE_SQL = [
    'db.execute(f"SELECT a FROM t WHERE n = {ids}")',
    'db.execute("SELECT a FROM t WHERE n = %s" % ids)',
    'db.execute("SELECT a FROM t WHERE n = {}".format(ids))',
    'db.execute("DELETE FROM t WHERE id IN (" + ",".join(str(i) for i in ids) + ")")',
    'sql = "SELECT a FROM t"\nsql += " WHERE n = \'" + ids + "\'"\ndb.execute(sql)',
    'where = f"n = {ids}"\ndb.execute(f"UPDATE t SET a = 1 WHERE {where}")',
]


def _sql(lines: str) -> list[str]:
    text = "def f(db, ids):\n" + "\n".join(f"    {line}" for line in lines.splitlines()) + "\n"
    return [found.rule for found in python_statements("a.py", text, ast.parse(text))]


@pytest.mark.parametrize("lines", SAFE_SQL[:-1])
def test_placeholders_and_constants_are_no_injection(lines: str) -> None:
    assert _sql(lines) == []


@pytest.mark.parametrize("lines", UNSAFE_SQL)
def test_values_in_the_text_of_a_statement_are(lines: str) -> None:
    assert _sql(lines) == ["sql"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("db.query(`SELECT a FROM t WHERE id IN (${ids.map(() => '?').join(', ')})`, ids)", 0),
        (
            "const marks = ids.map((_, i) => `$${i + 1}`).join(', ');\n"
            "db.query(`SELECT a FROM t WHERE id IN (${marks})`)",
            0,
        ),
        ("await prisma.$queryRaw`SELECT a FROM t WHERE n = ${n}`", 0),
        ("sql`SELECT a FROM t WHERE n = ${n}`", 0),
        ("db.query(`SELECT a FROM t WHERE n = ${req.query.n}`)", 1),
        ("db.query('SELECT a FROM t WHERE n = ' + n)", 1),
    ],
)
def test_statements_in_javascript(text: str, found: int) -> None:
    assert len(list(javascript_statements("a.js", text))) == found


CACHES = [
    ("@lru_cache(maxsize=None)\ndef f(name):\n    return work(name)\n", {"cache-bound"}),
    ("@functools.cache\ndef f(name):\n    return work(name)\n", {"cache-bound"}),
    ("@lru_cache(maxsize=256)\ndef f(name):\n    return work(name)\n", set()),
    ("@lru_cache(256)\ndef f(name):\n    return work(name)\n", set()),
    ("@functools.lru_cache\ndef f(name):\n    return work(name)\n", set()),
    ("@lru_cache(maxsize=LIMIT, typed=True)\ndef f(name):\n    return work(name)\n", set()),
    ("@cached(LRUCache(99))\ndef f(name):\n    return work(name)\n", set()),
    ("@cached({})\ndef f(name):\n    return work(name)\n", {"cache-bound"}),
    ("@lru_cache(None)\ndef f(name):\n    return work(name)\n", {"cache-bound"}),
    ("@lru_cache(maxsize=None)\ndef settings():\n    return read()\n", set()),
    ("@cache\ndef settings():\n    return read()\n", set()),
    ("SEEN = {}\ndef f(name):\n    SEEN[name] = work(name)\n", {"cache-bound"}),
    ("SEEN = {}\ndef f(name):\n    SEEN['only'] = work(name)\n", set()),
    ("SEEN = {}\ndef f(n):\n    if len(SEEN) > 99:\n        SEEN.clear()\n    SEEN[n] = work(n)\n", set()),
    ("S = OrderedDict()\ndef f(n):\n    S[n] = work(n)\n    while len(S) > 9:\n        S.popitem(last=False)\n", set()),
    ("C = LRU(99)\ndef f(user_id, day):\n    cache.set(day, build(user_id, day))\n", {"cache-key"}),
    ("def f(user_id, day):\n    key = f'{user_id}:{day}'\n    cache.set(key, build(user_id, day), 60)\n", set()),
    (
        "C = {}\ndef f(request):\n    if len(C) > 9: C.clear()\n    C[request.path] = page(request.user)\n",
        {"cache-key"},
    ),
    (
        "def f(request, day):\n    who = request.user\n    rows = load(who, day)\n    cache.set(day, rows)\n",
        {"cache-key"},
    ),
    ("def f(request, day):\n    cache.set((request.user.id, day), load(request.user, day))\n", set()),
    ("@cache_page(60)\ndef f(request):\n    return page(request.user)\n", {"cache-key"}),
    ("@vary_on_cookie\n@cache_page(60)\ndef f(request):\n    return page(request.user)\n", set()),
    ("@lru_cache(maxsize=9)\ndef f(day):\n    return load(g.user, day)\n", {"cache-key"}),
    ("@lru_cache(maxsize=9)\ndef f(user_id, day):\n    return load(user_id, day)\n", set()),
    (
        "def f(session, day):\n    rows = session.scalars(select(Order.user_id)).all()\n    cache.set(day, rows)\n",
        set(),
    ),
    ("def f(db):\n    cache.set('users', {user.id: user for user in db.all()})\n", set()),
    ("def f(request, day):\n    cache.set(day, build(day, request.args))\n", set()),
    ("def f(request, day):\n    cache.set(day, build(request))\n", {"cache-key"}),
    ("def f(day):\n    cache.set(day, build(session['user_id']))\n", {"cache-key"}),
    ("def f(day):\n    cache.set(day, build(current_user))\n", {"cache-key"}),
]


@pytest.mark.parametrize(("text", "rules"), CACHES)
def test_caches_in_python(text: str, rules: set[str]) -> None:
    assert {found.rule for found in python_caches("a.py", text, ast.parse(text))} == rules


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("@cache\ndef f(name):\n    return work(name)\n", "lru_cache(maxsize="),
        ("SEEN = {}\ndef f(name):\n    SEEN[name] = work(name)\n", "oldest entry out"),
    ],
)
def test_a_cache_without_a_bound_is_told_with_its_remedy(text: str, remedy: str) -> None:
    (found,) = python_caches("a.py", text, ast.parse(text))
    assert remedy in found.claim


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("const seen = new Map();\nfunction f(id) {\n  seen.set(id, work(id));\n}\n", {"cache-bound"}),
        ("const seen = new Map();\nfunction f(id) {\n  if (seen.size > 99) seen.clear();\n"
         "  seen.set(id, work(id));\n}\n", set()),
        ("const seen = new Map();\nfunction f(req) {\n  if (seen.size > 9) seen.clear();\n"
         "  seen.set(req.path, page(req.user));\n}\n", {"cache-key"}),
        ("const cache = {};\nfunction f(id) { cache[id] = work(id); }\n", {"cache-bound"}),
        ("const routes = {};\nfunction f(id) { routes[id] = work(id); }\n", set()),
    ],
)  # fmt: skip
def test_caches_in_javascript(text: str, rules: set[str]) -> None:
    assert {found.rule for found in javascript_caches("a.js", text)} == rules
