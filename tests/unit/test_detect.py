"""`perfcrew init`: what is found in small repositories, and that the first description is one that loads."""

import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

from perfcrew.errors import UserError
from tools.detect import detect_project
from tools.init_template import write_template
from tools.target import load_target

FASTAPI = {
    "requirements.txt": "fastapi\nsqlalchemy\npsycopg[binary]\n",
    "requirements-dev.txt": "pytest\nhttpx\n",
    "alembic.ini": "[alembic]\n",
    "shop/__init__.py": "",
    "shop/main.py": (
        "import os\nfrom fastapi import FastAPI\nfrom shop.api import items, users as people\n"
        "URL = os.environ['SHOP_DATABASE_URL']\napp = FastAPI()\napp.include_router(items.router, prefix='/api')\n"
        "app.include_router(people.router)\n@app.get('/health')\ndef health(): return {}\n"
        "@app.get('/items/{id}')\ndef one(id: int): return {}\n"
    ),
    "shop/api/items.py": (
        "from fastapi import APIRouter\nrouter = APIRouter(prefix='/items')\n"
        "@router.get('/top')\ndef top(): return []\n"
        "@router.post('/new')\ndef new(): return {}\n"
    ),
    "shop/api/users.py": (
        "from fastapi import APIRouter\nrouter = APIRouter()\n@router.get('/users')\ndef all(): return []\n"
    ),
    "tests/test_shop.py": "from fastapi import FastAPI\napp = FastAPI()\n",
    ".venv/lib/other.py": "from fastapi import FastAPI\napp = FastAPI()\n",
}
FLASK = {
    "pyproject.toml": (
        "[project]\nname='blog'\nversion='1'\ndependencies=['flask','gunicorn']\n[dependency-groups]\ndev=['pytest']\n"
    ),
    "src/blog/__init__.py": (
        "import os\nfrom flask import Flask\nfrom .views import bp\n"
        "def create_app(config=None):\n    app = Flask(__name__)\n"
        "    app.config['U'] = os.getenv('DATABASE_URL', 'sqlite:///blog.db')\n"
        "    app.register_blueprint(bp, url_prefix='/blog')\n    return app\n"
    ),
    "src/blog/views.py": (
        "from flask import Blueprint\nbp = Blueprint('b', __name__)\n@bp.route('/posts')\ndef posts(): return []\n"
        "@bp.route('/new', methods=['POST'])\ndef new(): return {}\n"
        "@bp.route('/posts/<int:id>')\ndef post(id): return {}\n"
    ),
    "tests/test_blog.py": "def test(): pass\n",
    "migrations/001_init.sql": "CREATE TABLE post (id INTEGER);\n",
}
DJANGO = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'site_.settings')\n",
    "requirements.txt": "django\n",
    "site_/settings.py": (
        "ROOT_URLCONF = 'site_.urls'\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'db.sqlite3'}}\n"
    ),
    "site_/urls.py": (
        "from django.urls import include, path\nfrom django.contrib import admin\n"
        "urlpatterns = [path('admin/', admin.site.urls), path('shop/', include('shop.urls')), path('', home)]\n"
    ),
    "shop/urls.py": (
        "from django.urls import path\nurlpatterns = [path('list/', views.list), path('<int:id>/', views.one)]\n"
    ),
    "shop/tests.py": "x = 1\n",
}
EXPRESS = {
    "package.json": (
        '{"scripts": {"start": "node server.js", "test": "jest"}, "dependencies": {"express": "^4", "pg": "^8"}}'
    ),
    "package-lock.json": "{}",
    "knexfile.js": "module.exports = {}\n",
    "server.js": (
        "const express = require('express')\nconst users = require('./routes/users')\nconst app = express()\n"
        "app.use('/api/users', users)\napp.get('/health', (q, r) => r.send('ok'))\n"
        "db.connect(process.env.DATABASE_URL)\napp.listen(process.env.PORT || 3000)\n"
    ),
    "routes/users.js": (
        "const router = require('express').Router()\nrouter.get('/', list)\nrouter.get('/recent', recent)\n"
        "router.get('/:id', one)\nmodule.exports = router\n"
    ),
    "node_modules/x/server.js": "app.get('/nope', x)\n",
}


def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def written(root: Path) -> dict[str, Any]:
    path, _ = write_template(root)
    return tomllib.loads(path.read_text())


def test_fastapi(tmp_path: Path) -> None:
    project = detect_project(plant(tmp_path / "shop", FASTAPI))
    assert project.start == "{env}/bin/uvicorn shop.main:app --host 127.0.0.1 --port {port} --no-access-log"
    assert project.setup == (
        "{uv} venv --allow-existing {env}",
        "{uv} pip install --python {env}/bin/python -r requirements.txt -r requirements-dev.txt",
        "{uv} pip install --python {env}/bin/python uvicorn",
    )
    assert project.environment == {"SHOP_DATABASE_URL": "{database_url}"}
    assert (project.engine, project.migrate) == ("postgresql", "{env}/bin/alembic upgrade head")
    assert (project.ready, project.routes) == ("/health", ("/api/items/top", "/users"))
    assert project.test == "{env}/bin/python -m pytest -q"


def test_flask_with_a_factory_under_src(tmp_path: Path) -> None:
    project = detect_project(plant(tmp_path, FLASK))
    assert project.start.startswith("{env}/bin/gunicorn 'blog:create_app()' --bind 127.0.0.1:{port}")
    assert project.environment == {"PYTHONPATH": "{workdir}/src", "DATABASE_URL": "{database_url}"}
    assert project.setup[1] == "{uv} pip install --python {env}/bin/python -r pyproject.toml --group dev"
    assert project.setup_inputs == ("pyproject.toml",)
    assert (project.engine, project.routes, project.ready) == ("sqlite", ("/blog/posts",), "/blog/posts")
    assert "migrate: migrations/ holds SQL files; write the command that applies them" in project.open_points


def test_django(tmp_path: Path) -> None:
    project = detect_project(plant(tmp_path, DJANGO))
    assert project.start == "{env}/bin/python manage.py runserver --noreload 127.0.0.1:{port}"
    assert project.test == "{env}/bin/python manage.py test --noinput"
    assert project.migrate == "{env}/bin/python manage.py migrate --noinput"
    assert (project.engine, project.routes) == ("sqlite", ("/shop/list/", "/"))
    assert any(point.startswith("database: make the application take") for point in project.open_points)


def test_express(tmp_path: Path) -> None:
    project = detect_project(plant(tmp_path, EXPRESS))
    assert (project.start, project.test) == ("node server.js", "npm test")
    assert project.environment == {"PORT": "{port}", "DATABASE_URL": "{database_url}"}
    assert project.setup == ("npm ci",)
    assert project.migrate == "knex migrate:latest"
    assert (project.ready, project.routes) == ("/health", ("/api/users", "/api/users/recent"))


def test_of_two_engines_the_one_without_a_server_is_taken_and_the_choice_said(tmp_path: Path) -> None:
    url = {"shop/db.py": "URL = 'sqlite:///shop.db'\n"}
    project = detect_project(plant(tmp_path, FASTAPI | url))
    assert project.engine == "sqlite"
    assert any(point.startswith("database, engine: the source knows SQLite and Post") for point in project.open_points)


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"uv.lock": ""}, "env UV_PROJECT_ENVIRONMENT={env} {uv} sync --frozen --no-install-project"),
        ({"poetry.lock": ""}, "env VIRTUAL_ENV={env} {uv} tool run poetry install --no-root --no-interaction"),
    ],
)
def test_locks_come_first(tmp_path: Path, files: dict[str, str], command: str) -> None:
    assert command in detect_project(plant(tmp_path, FASTAPI | {"pyproject.toml": ""} | files)).setup


@pytest.mark.parametrize("files", [FASTAPI, FLASK, DJANGO, EXPRESS], ids=["fastapi", "flask", "django", "express"])
def test_the_first_description_loads(tmp_path: Path, files: dict[str, str]) -> None:
    root = plant(tmp_path / "app", files)
    data = written(root)
    target, path = load_target(root, None)
    assert target.primary.request[0].path == data["workload"][0]["request"][0]["path"]
    assert target.goal[0].workload == target.primary.name
    text = path.read_text()
    assert "TO DO: held_out" in text
    assert ("\n[database]" in text) == (files is not DJANGO)


def test_an_unknown_repository_gets_a_form_to_fill_in(tmp_path: Path) -> None:
    path, project = write_template(plant(tmp_path / "odd name!", {"main.rs": "fn main() {}"}))
    assert project.name == "odd-name"
    assert "no Flask, FastAPI, Django or Express application was recognised" in project.open_points
    with pytest.raises(UserError, match="target, start: expected a command, got an empty text"):
        load_target(path.parent, None)


def test_a_factory_with_arguments_leaves_only_the_start_open(tmp_path: Path) -> None:
    files = FLASK | {"src/blog/__init__.py": FLASK["src/blog/__init__.py"].replace("config=None", "config")}
    project = detect_project(plant(tmp_path, files))
    assert project.start == ""
    assert [point for point in project.open_points if point.startswith("start")] == [
        "start: src/blog/__init__.py: create_app needs arguments; write a command with {port}"
    ]
    assert (project.setup_inputs, project.routes) == (("pyproject.toml",), ("/blog/posts",))


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "perfcrew.toml").write_text("mine")
    with pytest.raises(UserError, match="exists already and was left as it is"):
        write_template(tmp_path)
    assert (tmp_path / "perfcrew.toml").read_text() == "mine"


def test_broken_files_are_passed_over(tmp_path: Path) -> None:
    root = plant(tmp_path, {"app.py": "def (", "package.json": "[]", "x.py": "\0"})
    (root / "bin.py").write_bytes(b"\xff\xfe")
    project = detect_project(root)
    assert (project.framework, project.start, project.routes) == ("", "", ())


def copied(name: str, folder: Path) -> Path:
    app = Path(__file__).parents[1] / "apps" / name
    shutil.copytree(app, folder / name, ignore=shutil.ignore_patterns("perfcrew.toml", "node_modules", "__pycache__"))
    return folder / name


def test_a_django_application_as_they_are(tmp_path: Path) -> None:
    root = copied("clinic", tmp_path)
    data = written(root)
    target, _ = load_target(root, None)
    own, _ = load_target(Path(__file__).parents[1] / "apps" / "clinic", None)
    for key in ("start", "ready", "test", "setup_inputs", "environment"):
        assert getattr(target.target, key) == getattr(own.target, key), key
    assert target.database is not None and own.database is not None
    assert (target.database.seed, target.database.migrate) == (own.database.seed, own.database.migrate)
    assert target.database.engine == "sqlite"
    # What only takes POST is no workload.
    paths = [workload["request"][0]["path"] for workload in data["workload"]]
    assert paths == ["/api/doctors", "/api/results/latest", "/api/results/export"]
    assert not any("pytest" in command for command in target.target.setup)


def test_an_express_application_as_they_are(tmp_path: Path) -> None:
    root = copied("orders", tmp_path)
    data = written(root)
    target, _ = load_target(root, None)
    own, _ = load_target(Path(__file__).parents[1] / "apps" / "orders", None)
    for key in ("start", "ready", "test", "setup_inputs", "environment"):
        assert getattr(target.target, key) == getattr(own.target, key), key
    assert target.target.setup == ("npm ci",)
    assert target.database is not None
    assert target.database.engine == "postgresql"
    assert (target.database.seed, target.database.migrate) == ("npm run --silent seed", "npm run --silent migrate")
    assert [workload["request"][0]["path"] for workload in data["workload"]] == ["/api/catalogue", "/api/products"]
