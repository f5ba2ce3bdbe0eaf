"""The outline of a code base, read without running it."""

import textwrap
from pathlib import Path

import pytest

from tools.outline import MAX_BYTES, Outline, read_outline
from tools.outline.sql import IndexMade, looks_like_sql, read_statement


def outline_of(folder: Path, files: dict[str, str]) -> Outline:
    """Write files and read the outline."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return read_outline(folder)


def edges(outline: Outline, relation: str) -> set[tuple[str, str]]:
    return {(edge.source, edge.target) for edge in outline.edges if edge.relation == relation}


def routes(outline: Outline) -> dict[str, str]:
    return {
        source.removeprefix("route:"): target.removeprefix("function:") for source, target in edges(outline, "handles")
    }


def test_fastapi_routes_with_nested_prefixes(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "app/main.py": """
            from fastapi import FastAPI
            from app.api import router as api
            from app import admin

            def create_app():
                app = FastAPI()
                app.include_router(api, prefix="/v1")
                app.include_router(admin.router)

                @app.get("/health")
                def health():
                    return {}

                return app
        """,
            "app/api.py": """
            from fastapi import APIRouter
            from .users import router as users

            router = APIRouter(prefix="/api")
            router.include_router(users, prefix="/users")

            @router.api_route("/ping", methods=["GET", "POST"])
            async def ping(): ...
        """,
            "app/users.py": """
            from fastapi import APIRouter
            router = APIRouter()

            @router.get("/{user_id}")
            async def show(user_id: int): ...

            @router.get("")
            async def index(): ...
        """,
            "app/admin.py": """
            from fastapi import APIRouter
            router = APIRouter(prefix="/admin")

            @router.delete("/cache/")
            def clear(): ...

            cache = {}

            @cache.get("not a route")
            def unrelated(): ...
        """,
        },
    )
    assert routes(found) == {
        "GET /health": "app.main.create_app.health",
        "GET /v1/api/ping": "app.api.ping",
        "POST /v1/api/ping": "app.api.ping",
        "GET /v1/api/users/{user_id}": "app.users.show",
        "GET /v1/api/users": "app.users.index",
        "DELETE /admin/cache/": "app.admin.clear",
    }


def test_flask_routes_blueprints_and_class_views(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "shop/__init__.py": """
            from flask import Flask
            from shop.items import bp, Basket, legacy

            app = Flask(__name__)
            app.register_blueprint(bp, url_prefix="/api/items")
            app.add_url_rule("/basket/<int:n>", view_func=Basket.as_view("basket"))
            app.add_url_rule("/old", "old", legacy, methods=["POST"])
        """,
            "shop/items.py": """
            from flask import Blueprint
            from flask.views import MethodView

            bp = Blueprint("items", __name__, url_prefix="/replaced")

            @bp.route("/", methods=["GET", "PUT"])
            def items(): ...

            class Basket(MethodView):
                def get(self, n): ...
                def post(self, n): ...

            def legacy(): ...
        """,
        },
    )
    assert routes(found) == {
        "GET /api/items/": "shop.items.items",
        "PUT /api/items/": "shop.items.items",
        "GET /basket/<int:n>": "shop.items.Basket.get",
        "POST /basket/<int:n>": "shop.items.Basket.post",
        "POST /old": "shop.items.legacy",
    }


def test_django_urls_models_and_managers(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "site/urls.py": """
            from django.urls import include, path
            urlpatterns = [path("blog/", include("blog.urls"))]
        """,
            "blog/urls.py": """
            from django.urls import path
            from . import views
            urlpatterns = [path("", views.index), path("<slug:name>/", views.Detail.as_view())]
        """,
            "blog/models.py": """
            from django.db import models

            class Base(models.Model):
                class Meta:
                    abstract = True

            class Post(Base):
                slug = models.SlugField(unique=True)
                author = models.ForeignKey("User", on_delete=models.CASCADE)
                seen = models.DateTimeField(db_index=True)

                class Meta:
                    indexes = [models.Index(fields=["author", "-seen"], name="by_author")]

            class Tag(models.Model):
                class Meta:
                    db_table = "labels"
        """,
            "blog/views.py": """
            from django.views import View
            from blog.models import Post, Tag

            def index(request):
                return list(Post.objects.filter(seen=None))

            class Detail(View):
                def get(self, request, name):
                    Tag.objects.create(name=name)
                    return self.render(name)

                def render(self, name): ...
        """,
        },
    )
    assert routes(found) == {"ANY /blog/": "blog.views.index", "GET /blog/<slug:name>/": "blog.views.Detail.get"}
    assert ("class:blog.models.Post", "table:blog_post") in edges(found, "maps_to")
    assert ("function:blog.views.index", "table:blog_post") in edges(found, "reads")
    assert ("function:blog.views.Detail.get", "table:labels") in edges(found, "writes")
    assert ("function:blog.views.Detail.get", "function:blog.views.Detail.render") in edges(found, "calls")
    details = {node.id: node.detail for node in found.nodes if node.kind == "index"}
    assert details == {
        "index:by_author": "blog_post(author, -seen)",
        "index:blog_post_slug_unique": "blog_post(slug)",
        "index:blog_post_author_id": "blog_post(author_id)",
        "index:blog_post_seen": "blog_post(seen)",
    }


def test_sqlalchemy_models_reads_writes_and_indexes(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "models.py": """
            from sqlalchemy import Column, Index, Integer, Table
            from sqlalchemy.orm import mapped_column

            class User(Base):
                __tablename__ = "users"
                email = mapped_column(unique=True)
                team = mapped_column(index=True)
                __table_args__ = (Index("ix_team_email", "team", "email"),)

            audit = Table("audit_log", metadata, Column("actor", Integer, index=True))
            Index("ix_late", User.email)
        """,
            "service.py": """
            from sqlalchemy import delete, insert, select
            from models import User, audit

            def find(session, user: User):
                return session.scalars(select(User).where(User.team == 1)).all()

            def add(session):
                session.add(User(email="x"))
                session.execute(insert(audit).values(actor=1))

            def typed_only(user: User) -> None:
                print(user)
        """,
            "migrations/versions/one.py": """
            from alembic import op

            def upgrade():
                op.create_index(op.f("ix_made"), "users", ["team", "email"])
        """,
        },
    )
    assert edges(found, "reads") == {("function:service.find", "table:users")}
    assert edges(found, "writes") == {
        ("function:service.add", "table:users"),
        ("function:service.add", "table:audit_log"),
    }
    owned = {target: source for source, target in edges(found, "has_index")}
    assert owned == {
        "index:users_email_unique": "table:users",
        "index:ix_users_team": "table:users",
        "index:ix_team_email": "table:users",
        "index:ix_late": "table:users",
        "index:ix_made": "table:users",
        "index:ix_audit_log_actor": "table:audit_log",
    }


def test_calls_through_imports_instances_injection_and_tables_of_functions(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "src/app/__init__.py": "from .core import work",
            "src/app/core.py": """
            import redis
            from time import sleep

            class Store:
                def __init__(self): self.inner = Inner()
                def load(self): return self.inner.read_all()

            class Inner(Deep): ...
            class Deep:
                def read_all(self): sleep(1)

            def work(store: "Store | None"):
                def nested(): return 1
                store.load()
                return [nested() for _ in range(3)]

            shared = Store()
            def session(): yield redis.Redis()
        """,
            "src/app/web.py": """
            import app.core as core
            from typing import Annotated
            from fastapi import Depends
            from app import work

            Session = Annotated[object, Depends(core.session)]
            HANDLERS = {"a": work}

            def route(session: Session):
                core.shared.load()
                return HANDLERS["a"](None)

            def later(pool):
                pool.submit(work)

            def guess(thing):
                thing.read_all()
        """,
        },
    )
    calls = {
        (edge.source[9:], edge.target.partition(":")[2]): edge.detail
        for edge in found.edges
        if edge.relation == "calls"
    }
    assert calls == {
        ("app.core.Store.load", "app.core.Deep.read_all"): "",
        ("app.core.Deep.read_all", "time.sleep"): "",
        ("app.core.session", "redis"): "",
        ("app.core.work", "app.core.Store.load"): "",
        ("app.core.work", "app.core.work.nested"): "",
        ("app.web.route", "app.core.session"): "injected",
        ("app.web.route", "app.core.Store.load"): "",
        ("app.web.route", "app.core.work"): "chosen from a table",
        ("app.web.later", "app.core.work"): "passed on",
        ("app.web.guess", "app.core.Deep.read_all"): "by its name alone",
    }


def test_raw_sql_in_strings_constants_and_files(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "app.py": '''
            COUNT = text("SELECT count(*) FROM loans")

            def read(connection, name):
                """Select from nowhere: this docstring is no statement."""
                connection.execute(COUNT)
                connection.execute(f"SELECT * FROM books WHERE genre = {name!r} AND id IN (SELECT id FROM shelf)")

            def write(connection):
                connection.execute("UPDATE members SET name = %s WHERE id = %(id)s")
        ''',
            "migrations/001.sql": """
            CREATE TABLE loans (a INTEGER, b INTEGER, email TEXT UNIQUE, PRIMARY KEY (a, b));
            CREATE INDEX loans_by_b ON loans (b, a DESC);
        """,
        },
    )
    assert edges(found, "reads") == {("function:app.read", f"table:{name}") for name in ("loans", "books", "shelf")}
    assert edges(found, "writes") == {("function:app.write", "table:members")}
    assert {node.detail for node in found.nodes if node.kind == "index"} == {
        "loans(b, a DESC)", "loans(a, b)", "loans(email)",
    }  # fmt: skip
    assert ("table:loans", "file:migrations/001.sql") in edges(found, "defined_in")


def test_express_routes(tmp_path: Path) -> None:
    found = outline_of(
        tmp_path,
        {
            "server.js": """
            const express = require('express')
            const users = require('./routes/users')
            const app = express()
            app.use('/api/users', users)
            app.get('/health', (req, res) => res.json({}))
            map.get('/not/a/route', 1)
        """,
            "routes/users.js": """
            const router = require('express').Router()
            const express = require('express')
            const r = express.Router()

            async function list(req, res) {
              res.json(await db.query(`SELECT * FROM users WHERE team = ${req.query.team}`))
            }
            r.get('/', auth, list)
            r.post('/:id/seen', async (req, res) => {
              await db.query('UPDATE users SET seen = now() WHERE id = $1', [req.params.id])
            })
            module.exports = r
        """,
            "lib/helper.js": "export const x = 1",
        },
    )
    assert routes(found) == {
        "GET /health": "server.GET /health",
        "GET /api/users/": "routes.users.list",
        "POST /api/users/:id/seen": "routes.users.POST /:id/seen",
    }
    assert edges(found, "reads") == {("function:routes.users.list", "table:users")}
    assert edges(found, "writes") == {("function:routes.users.POST /:id/seen", "table:users")}
    assert not any(node.path == "lib/helper.js" for node in found.nodes)


def test_tests_dependencies_links_and_broken_files_stay_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside.py"
    outside.write_text("def secret(): ...")
    root = tmp_path / "repo"
    (root / "node_modules").mkdir(parents=True)
    (root / "link.py").symlink_to(outside)
    (root / "huge.py").write_text("#" * (MAX_BYTES + 1))
    found = outline_of(
        root,
        {
            "good.py": "def kept(): ...",
            "broken.py": "def (",
            "tests/test_good.py": "def test(): ...",
            "conftest.py": "def fixture(): ...",
            "node_modules/x.js": "const app = express()",
            "venv/lib.py": "def lib(): ...",
        },
    )
    assert [node.id for node in found.nodes] == ["file:good.py", "function:good.kept"]
    assert [line.split(":")[0] for line in found.skipped] == ["huge.py", "broken.py"]


def test_only_readable_globs_are_read(tmp_path: Path) -> None:
    outline_of(tmp_path, {"a/one.py": "def one(): ...", "b/two.py": "def two(): ..."})
    found = read_outline(tmp_path, ("a/**/*",))
    assert [node.id for node in found.nodes] == ["file:a/one.py", "function:a.one.one"]


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    app = Path(__file__).parents[1] / "apps" / "library"
    assert read_outline(app) == read_outline(app)


@pytest.mark.parametrize(
    ("sql", "reads", "writes"),
    [
        ("SELECT 1", (), ()),
        ('SELECT * FROM "Users" u LEFT JOIN posts ON posts.uid = u.id WHERE u.id = %s', ("Users", "posts"), ()),
        ("WITH top AS (SELECT * FROM a) SELECT * FROM top JOIN b ON b.id = top.id", ("a", "b"), ()),
        ("INSERT INTO t (x) SELECT x FROM s WHERE y IN (...)", ("s",), ("t",)),
        ("INSERT OR REPLACE INTO t (a) VALUES (?)", (), ("t",)),
        ("DELETE FROM x WHERE id IN (SELECT id FROM w)", ("w",), ("x",)),
        ("SELECT 1 FROM ? WHERE id = ?", (), ()),
        ("SELECT broken %% FROM tab WHERE ((", ("tab",), ()),
    ],
)
def test_tables_of_statements(sql: str, reads: tuple[str, ...], writes: tuple[str, ...]) -> None:
    found = read_statement(sql)
    assert (found.reads, found.writes) == (reads, writes)


def test_indexes_of_statements() -> None:
    sql = "CREATE UNIQUE INDEX CONCURRENTLY ix ON users USING btree (lower(email), team DESC) INCLUDE (name)"
    assert read_statement(sql).indexes == (IndexMade(name="ix", table="users", columns=("LOWER(email)", "team DESC")),)


def test_prose_is_no_sql() -> None:
    assert looks_like_sql("\n  select a from b")
    assert looks_like_sql("-- why\nUPDATE t SET a = 1")
    assert not looks_like_sql("Update the set")
    assert not looks_like_sql("Selected books")
