"""Which tool changes the schema, what counts as a migration, and what is refused before anything is measured."""

from typing import Any

import pytest

from tools.git_history import split_lines
from tools.migrations import (
    back_commands,
    check_migrations,
    describe_way,
    find_way,
    new_migrations,
    refuse_by_hand,
    version_of,
)

ALEMBIC = ("alembic.ini", "alembic/env.py", "alembic/versions/1a_first.py")
DJANGO = ("manage.py", "shop/migrations/0001_initial.py", "shop/migrations/0002_more.py", "shop/migrations/__init__.py")
SQL = ("app/migrations/0001_all.up.sql", "app/migrations/0001_all.down.sql")
INDEX = 'db.execute(\n    "CREATE INDEX ix_a ON "\n    "activities (user_id)"\n)'


@pytest.mark.parametrize(
    ("paths", "migrate", "tool", "newest"),
    [
        (ALEMBIC, "{env}/bin/alembic upgrade head", "Alembic", "alembic/versions/1a_first.py"),
        (("migrations/versions/2b.py",), "{env}/bin/flask --app x db upgrade", "Alembic", "migrations/versions/2b.py"),
        (DJANGO, "{env}/bin/python manage.py migrate --noinput", "Django", "shop/migrations/0002_more.py"),
        (("knexfile.js", "migrations/20_a.js"), "knex migrate:latest", "Knex", "migrations/20_a.js"),
        (("prisma/schema.prisma", "prisma/migrations/1/migration.sql"), None, "Prisma",
         "prisma/migrations/1/migration.sql"),
        (SQL, None, "SQL scripts", "app/migrations/0001_all.up.sql"),
    ],
)  # fmt: skip
def test_the_tool_is_told_by_files_and_command(paths: Any, migrate: str | None, tool: str, newest: str) -> None:
    way = find_way(paths, migrate)
    assert way is not None and (way.tool, way.newest) == (tool, newest)
    assert tool in describe_way(way) and newest in describe_way(way)


def test_a_repository_without_migrations_has_no_way() -> None:
    assert find_way(["app.py", "schema.sql"], None) is None
    assert "has none" in describe_way(None)


@pytest.mark.parametrize(
    "added",
    [INDEX, "create table totals as select 1", 'conn.execute("ALTER TABLE a ADD COLUMN n INT")',
     "Base.metadata.create_all(engine)",
     "CREATE MATERIALIZED VIEW v AS SELECT 1", 'run("DROP INDEX IF EXISTS ix_a")'],
)  # fmt: skip
def test_statements_by_hand_are_refused(added: str) -> None:
    (problem,) = refuse_by_hand({"app/db.py": (added, "")}, find_way(SQL, None))
    assert problem.startswith("app/db.py: changes the schema by hand") and "a new SQL scripts migration" in problem


@pytest.mark.parametrize(
    ("path", "added", "removed"),
    [
        ("app/migrations/0002_a.up.sql", "CREATE INDEX ix_a ON a (b);", ""),
        ("docs/notes.md", "CREATE INDEX ix_a ON a (b);", ""),
        ("app/db.py", "# create an index of words; the table is altered later, and create table rows", ""),
        ("app/db.py", 'SETUP = "CREATE TABLE a (x INT)"', 'OLD = "CREATE TABLE a (x INT)"'),
        ("app/db.py", 'conn.execute("SELECT * FROM a WHERE dropped = 1")', ""),
        ("app/cache.py", 'conn.execute("CREATE TEMP TABLE ids (id INT)")', ""),
    ],
)
def test_what_is_no_change_of_the_schema_by_hand_passes(path: str, added: str, removed: str) -> None:
    assert refuse_by_hand({path: (added, removed)}, find_way(SQL, None)) == []


def test_where_there_is_no_tool_the_script_that_made_the_schema_stays_the_way() -> None:
    before = "CREATE TABLE a (x INT)"
    assert refuse_by_hand({"init.py": (f"{before}; CREATE INDEX i ON a (x)", before)}, None) == []
    assert refuse_by_hand({"app.py": ("CREATE INDEX i ON a (x)", "")}, None)


GOOD_ALEMBIC = "def upgrade():\n    op.create_index('i', 'a', ['x'])\n\ndef downgrade():\n    op.drop_index('i')\n"


@pytest.mark.parametrize(
    ("paths", "name", "text", "said"),
    [
        (ALEMBIC, "alembic/versions/2b.py", GOOD_ALEMBIC, ""),
        (ALEMBIC, "alembic/versions/2b.py", GOOD_ALEMBIC.replace("op.drop_index('i')", "pass"), "no `downgrade`"),
        (DJANGO, "shop/migrations/0003_x.py", "x = migrations.AddIndex('a', i)", ""),
        (DJANGO, "shop/migrations/0003_x.py", "x = migrations.RunSQL('CREATE INDEX i ON a (b)')", "no `reverse_sql`"),
        (DJANGO, "shop/migrations/0003_x.py", "migrations.RunSQL('CREATE…', 'DROP…')", ""),
        (DJANGO, "shop/migrations/0003_x.py", "migrations.RunPython(fill)", "no `reverse_code`"),
        (("knexfile.js",), "migrations/2_b.js", "exports.up = k => 1\nexports.down = async (k) => { await k }", ""),
        (("knexfile.js",), "migrations/2_b.js", "exports.up = k => { }\nexports.down = (k) => {}", "no `down`"),
        (SQL, "app/migrations/0002_b.up.sql", "CREATE INDEX i ON a (b);", "no down script"),
        (SQL, "app/migrations/0002_b.up.sql", "-- migrate:up\nCREATE…\n-- migrate:down\nDROP…", ""),
    ],
)  # fmt: skip
def test_a_migration_needs_a_way_back(paths: Any, name: str, text: str, said: str) -> None:
    problems = check_migrations({name: text}, [name], find_way(paths, None))
    assert (said in problems[0]) if said else problems == []


def test_a_down_script_beside_it_is_the_way_back_and_applied_ones_stay() -> None:
    way = find_way(SQL, None)
    up, down = "app/migrations/0002_b.up.sql", "app/migrations/0002_b.down.sql"
    assert check_migrations({up: "…", down: "…"}, [up, down], way) == []
    (problem,) = check_migrations({}, [SQL[0]], way)
    assert "has been applied already" in problem


def test_the_way_back_follows_from_the_way_up() -> None:
    def back(paths: Any, migrate: str, *new: str) -> tuple[str, ...]:
        way = find_way(paths, migrate)
        assert way is not None
        return back_commands(way, migrate, new_migrations(way, new))

    assert back(ALEMBIC, "{env}/bin/alembic upgrade head", "alembic/versions/2.py", "alembic/versions/3.py") == (
        "{env}/bin/alembic downgrade -2",
    )
    assert back((), "{env}/bin/flask --app x db upgrade", "migrations/versions/2.py") == (
        "{env}/bin/flask --app x db downgrade",
    )
    django = "{env}/bin/python manage.py migrate --noinput"
    assert back(DJANGO, django, "shop/migrations/0003_x.py", "cart/migrations/0001_y.py") == (
        "{env}/bin/python manage.py migrate cart zero --noinput",
        "{env}/bin/python manage.py migrate shop 0002_more --noinput",
    )
    assert back(("knexfile.js",), "knex migrate:latest", "migrations/2.js", "migrations/3.js") == (
        "knex migrate:down", "knex migrate:down",
    )  # fmt: skip
    assert back(SQL, "python -m app.migrate up", "app/migrations/0002_b.up.sql") == ()
    assert version_of("app/migrations/0004_visits.up.sql") == "0004"


def test_lines_of_a_diff_are_told_apart_from_its_headers() -> None:
    diff = "diff --git a/x y.py b/x y.py\n--- a/x y.py\n+++ b/x y.py\n@@ -1 +1,2 @@\n-old\n+++new\n+more\n"
    assert split_lines(diff) == {"x y.py": ("++new\nmore", "old")}
