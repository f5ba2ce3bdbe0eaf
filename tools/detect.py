"""Looking at a repository: framework, entry, set-up, tests, database, migrations, routes. Nothing in it is run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tools import detect_django, detect_node
from tools.detect_python import App, Module, read_module, resolve_routes
from tools.detect_setup import read_requirements, write_setup

_SKIPPED = frozenset(
    {
        ".git",
        ".venv",
        "venv",
        "env",
        "node_modules",
        "__pycache__",
        "site-packages",
        "dist",
        "build",
        "docs",
        "examples",
    }
)
_MOST_FILES, _MOST_BYTES, _MOST_ROUTES = 3000, 400_000, 3
_HEALTH = re.compile(r"health|ready|ping|status|live", re.IGNORECASE)
_UNWANTED = re.compile(r"static|docs|openapi|favicon|admin|logout|metrics", re.IGNORECASE)


@dataclass(frozen=True)
class Project:
    """What was found. Empty where nothing was; `open_points` says what a person must look at."""

    name: str
    framework: str = ""
    setup: tuple[str, ...] = ()
    setup_inputs: tuple[str, ...] = ()
    build: str = ""
    start: str = ""
    test: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    engine: str = ""
    seed: str = ""
    migrate: str = ""
    routes: tuple[str, ...] = ()
    ready: str = "/"
    found: tuple[str, ...] = ()
    """What was recognised, a line each."""
    open_points: tuple[str, ...] = ()


def detect_project(root: Path) -> Project:
    """Look at a repository."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", root.resolve().name).strip("-._") or "application"
    if (root / "manage.py").is_file():
        return _finish(_detect_django(Project(name), root))
    modules = [module for path in _files(root, (".py",)) if (module := read_module(path, root)) is not None]
    apps = sorted((app for module in modules for app in module.apps if not _is_test(app.path)), key=_rank)
    package = detect_node.read_package(root / "package.json")
    if package is not None and not apps:
        return _finish(_detect_node(Project(name), root, package))
    return _finish(_detect_python(Project(name), root, modules, apps))


def _files(root: Path, suffixes: tuple[str, ...]) -> Iterator[Path]:
    count = 0
    folders = [root]
    while folders and count < _MOST_FILES:
        for path in sorted(folders.pop(0).iterdir()):
            if path.is_symlink() or path.name in _SKIPPED or path.name.startswith("."):
                continue
            if path.is_dir():
                folders.append(path)
            elif path.suffix in suffixes and path.stat().st_size <= _MOST_BYTES:
                count += 1
                yield path


def _is_test(path: Path) -> bool:
    return any(part in ("tests", "test") or part.startswith(("test_", "conftest")) for part in path.parts)


def _rank(app: App) -> tuple[bool, bool, bool, int, str]:
    usual = app.path.stem in ("main", "app", "wsgi", "asgi", "server", "api", "__init__", "application")
    return (app.needs, app.factory, not usual, len(app.path.parts), str(app.path))


def _detect_python(project: Project, root: Path, modules: list[Module], apps: list[App]) -> Project:
    words = read_requirements(root)
    server = ("uvicorn",) if apps and apps[0].framework == "fastapi" else ()
    setup, inputs, points = write_setup(root, words, server) if modules else ((), (), [])
    project = replace(project, setup=setup, setup_inputs=inputs, open_points=tuple(points))
    entry = ""
    if apps:
        base = _import_base(root, apps[0].path)
        parts = apps[0].path.relative_to(base).with_suffix("").parts
        entry = ".".join(part for part in parts if part != "__init__") + f":{apps[0].name}"
        environment = {} if base == Path() else {"PYTHONPATH": f"{{workdir}}/{base.as_posix()}"}
        project = replace(project, framework=apps[0].framework, environment=environment)
        project = _with_start(project, root, apps, entry, production="gunicorn" in words)
    else:
        point = "no Flask, FastAPI, Django or Express application was recognised"
        project = replace(project, open_points=(*project.open_points, point))
    own = [module for module in modules if not _is_test(module.path)]
    project = _with_migrations(project, root, entry)
    variables = sorted({name for module in own for name in module.variables})
    project = _with_database(project, " ".join(module.strings for module in own) + " " + words, variables)
    project = _with_tests(project, root)
    return _with_routes(project, [route for route in resolve_routes(own) if not re.search(r"[{<]", route)])


def _with_start(project: Project, root: Path, apps: list[App], entry: str, *, production: bool) -> Project:
    app, points = apps[0], list(project.open_points)
    if app.needs:
        module = entry.partition(":")[0].partition(".")[0]
        hint = f"{{env}}/bin/python -m {module} …" if (root / module / "__main__.py").is_file() else "a command"
        points.append(f"start: {app.path.as_posix()}: {app.name} needs arguments; write {hint} with {{port}}")
        start = ""
    elif app.framework == "fastapi":
        factory = " --factory" if app.factory else ""
        start = f"{{env}}/bin/uvicorn {entry}{factory} --host 127.0.0.1 --port {{port}} --no-access-log"
    elif production:
        call = f"'{entry}()'" if app.factory else entry
        start = f"{{env}}/bin/gunicorn {call} --bind 127.0.0.1:{{port}} --workers 1 --threads 4"
    else:
        start = f"{{env}}/bin/flask --app {entry} run --host 127.0.0.1 --port {{port}} --no-reload --no-debugger"
        points.append("start uses Flask's development server: put your production server there if you have one")
    others = [f"{other.path.as_posix()}: {other.name}" for other in apps[1:4]]
    if others:
        points.append(f"start is made for {app.path.as_posix()}: {app.name}; there are also {', '.join(others)}")
    found = f"{app.framework} application {entry}"
    return replace(project, start=start, found=(*project.found, found), open_points=tuple(points))


def _import_base(root: Path, path: Path) -> Path:
    """The folder that imports start from: `src`, or a part of the repository with requirements of its own."""
    if path.parts[0] == "src" and len(path.parts) > 1:
        return Path("src")
    for folder in list(path.parents)[:-1]:
        own = any((root / folder / name).is_file() for name in ("requirements.txt", "pyproject.toml"))
        if own and not (root / folder / "__init__.py").is_file():
            return folder
    return Path()


def _detect_django(project: Project, root: Path) -> Project:
    settings = detect_django.find_settings(root / "manage.py")
    words = read_requirements(root)
    uses_pytest = "pytest" in words and any(root.glob("**/test_*.py"))
    setup, inputs, points = write_setup(root, words, (), pytest=uses_pytest)
    package = (settings or project.name).partition(".")[0]
    if "gunicorn" in words:
        start = f"{{env}}/bin/gunicorn {package}.wsgi --bind 127.0.0.1:{{port}} --workers 1 --threads 4"
    elif "waitress" in words:
        start = f"{{env}}/bin/waitress-serve --listen=127.0.0.1:{{port}} --threads=4 {package}.wsgi:application"
    else:
        start = "{env}/bin/python manage.py runserver --noreload 127.0.0.1:{port}"
        points.append("start uses Django's development server: put your production server there if you have one")
    modules = [module for path in _files(root, (".py",)) if (module := read_module(path, root)) is not None]
    seed = detect_django.find_seed(path for path in _files(root, (".py",)) if not _is_test(path.relative_to(root)))
    test = "{env}/bin/python -m pytest -q" if uses_pytest else "{env}/bin/python manage.py test --noinput"
    project = replace(
        project, framework="django", start=start, setup=setup, setup_inputs=inputs, test=test,
        migrate="{env}/bin/python manage.py migrate --noinput", open_points=tuple(points),
        found=(f"Django project, settings {settings or 'unknown'}", f"tests: {test.rpartition('/')[2]}"),
        seed=f"{{env}}/bin/python manage.py {seed}" if seed else "",
    )  # fmt: skip
    variables = sorted({name for module in modules for name in module.variables})
    project = _with_database(project, " ".join(module.strings for module in modules), variables)
    return _with_routes(project, detect_django.find_routes(root, settings) if settings else [])


def _detect_node(project: Project, root: Path, package: detect_node.Package) -> Project:
    sources = {
        path.relative_to(root): path.read_text(encoding="utf-8", errors="replace")
        for path in _files(root, (".js", ".mjs", ".cjs", ".ts"))
        if not _is_test(path.relative_to(root))
    }
    variables = detect_node.find_variables(sources)
    express = "express" in package.needs
    points = [] if express else ["the framework isn't Express: look at start and routes"]
    points += [] if "PORT" in variables else ["the source reads no PORT: make the server listen on {port}"]
    lock = (root / "package-lock.json").is_file()
    inputs = tuple(name for name in ("package.json", "package-lock.json") if (root / name).is_file())
    if not lock and any((root / name).is_file() for name in ("yarn.lock", "pnpm-lock.yaml")):
        points.append("setup uses npm, but the repository locks its packages with another tool")
    project = replace(
        project, framework="express" if express else "node", start=package.start or "",
        setup=("npm ci" if lock else "npm install",), setup_inputs=inputs, test=package.test or "",
        environment={"PORT": "{port}"}, open_points=tuple(points), seed=package.seed or "", build=package.build or "",
        found=(f"{'Express' if express else 'Node'} application, started by {package.start}",),
    )  # fmt: skip
    if package.migrate:
        project = replace(project, migrate=package.migrate, found=(*project.found, f"migrations: {package.migrate}"))
    else:
        project = _with_migrations(project, root, "")
    hints = ("postgresql" if {"pg", "postgres"} & package.needs else "") or (
        "sqlite" if {"sqlite3", "better-sqlite3"} & package.needs else ""
    )
    project = _with_database(
        project, hints, sorted(name for name in variables if re.search(r"(DATABASE|DB|PG).*UR[IL]$", name))
    )
    return _with_routes(project, detect_node.find_routes(sources))


def _with_migrations(project: Project, root: Path, entry: str) -> Project:
    known = {
        "Alembic": ("alembic.ini", "{env}/bin/alembic upgrade head"),
        "Flask-Migrate": ("migrations/env.py", f"{{env}}/bin/flask --app {entry} db upgrade"),
        "Prisma": ("prisma/schema.prisma", "prisma migrate deploy"),
        "Knex": ("knexfile.js", "knex migrate:latest"),
    }
    for name, (file, command) in known.items():
        if (root / file).is_file():
            return replace(project, migrate=command, found=(*project.found, f"migrations: {name}"))
    plain = next(
        (folder for folder in ("migrations", "sql", "db/migrations") if any(root.glob(f"{folder}/*.sql"))), None
    )
    if plain:
        point = f"migrate: {plain}/ holds SQL files; write the command that applies them"
        return replace(project, open_points=(*project.open_points, point))
    return project


def _with_database(project: Project, hints: str, variables: list[str]) -> Project:
    known = {"sqlite": "sqlite" in hints, "postgresql": bool(re.search(r"postgres|psycopg|asyncpg", hints))}
    engine = next((name for name, there in known.items() if there), "")
    if not engine:
        return project
    if all(known.values()):
        point = "database, engine: the source knows SQLite and PostgreSQL; take the one that your users have"
        project = replace(project, open_points=(*project.open_points, point))
    project = replace(project, engine=engine, found=(*project.found, f"database: {engine}"))
    if variables:
        return replace(project, environment={**project.environment, variables[0]: "{database_url}"})
    point = "database: make the application take its database from {database_url} or {data}, then uncomment [database]"
    return replace(project, open_points=(*project.open_points, point))


def _with_tests(project: Project, root: Path) -> Project:
    if not any(not set(path.parts) & _SKIPPED for path in root.glob("**/test_*.py")):
        return project
    return replace(project, test="{env}/bin/python -m pytest -q", found=(*project.found, "tests: pytest"))


def _with_routes(project: Project, routes: list[str]) -> Project:
    wanted = [route for route in routes if not _UNWANTED.search(route)]
    health = [route for route in wanted if _HEALTH.search(route)]
    useful = sorted((route for route in wanted if route not in health), key=lambda route: route == "/")
    ready = (health or useful or ["/"])[0]
    found = (*project.found, f"GET routes without parameters: {len(routes)}")
    return replace(project, routes=tuple(useful[:_MOST_ROUTES]), ready=ready, found=found)


def _finish(project: Project) -> Project:
    points = list(project.open_points)
    if not project.start and not any(point.startswith("start:") for point in points):
        points.append("start: write the command that starts the application, with {port}")
    if not project.routes:
        points.append("workload: name the requests that are slow")
    else:
        points.append("workload: put the requests that are slow first, with the parameters your users send")
    points.append("held_out: give each workload other parameters, so that tuning to the measured ones is noticed")
    if project.engine and not project.seed:
        points.append("database, seed: write the command that fills the database with realistic data")
    if not project.test:
        points.append("test: write the command that runs the tests")
    return replace(project, open_points=tuple(points))
