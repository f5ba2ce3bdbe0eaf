"""The way back is tried: commits in turn with tests in between, migrations down and up on a copy of the data."""

import sys
from pathlib import Path

from migrating_app import INDEX, commit_files, make_migrating
from target_repo import PYTHON, make_workspace

from tools.rehearsal import rehearse_migrations, rehearse_rollback
from tools.schema import split_script


async def test_a_branch_goes_back_commit_by_commit_with_its_tests(tmp_path: Path) -> None:
    workspace = await make_migrating(tmp_path)
    base = workspace.base_commit
    first = await commit_files(workspace, base, "Index owners", INDEX)
    second = await commit_files(workspace, first, "Raise the value", {"app.py": "value = 2\n"})
    check = await rehearse_rollback(workspace, base, second)
    assert check.passed and check.detail.startswith("2 commits reverted in turn"), check.detail
    assert "the tests passed after each (2)" in check.detail
    assert not (workspace.clone.parent / "undo").exists()


async def test_a_step_whose_taking_back_breaks_the_tests_is_named(tmp_path: Path) -> None:
    workspace = await make_migrating(tmp_path)
    base = workspace.base_commit
    # The commit below fixes the suite by hand: without the one above it, the suite fails.
    broken = await commit_files(workspace, base, "Break the suite", {"suite.py": "raise SystemExit(1)\n"})
    mended = await commit_files(workspace, broken, "Mend the suite", {"suite.py": "import unittest\n"})
    check = await rehearse_rollback(workspace, base, mended)
    assert not check.passed
    assert check.detail.startswith("with 'Mend the suite' taken back the tests failed")


async def test_migrations_go_down_and_up_again_by_script_or_by_command(tmp_path: Path) -> None:
    for number, rollback in enumerate((None, f"{PYTHON} migrate.py down {{version}}")):
        workspace = await make_migrating(tmp_path / str(number), rollback=rollback)
        head = await commit_files(workspace, workspace.base_commit, "Index owners", INDEX)
        check = await rehearse_migrations(workspace, workspace.base_commit, head)
        assert check is not None and check.passed, check
        assert "migrations/002_owner.sql taken down and up again" in check.detail and "2 rows kept" in check.detail


async def test_a_way_back_that_leaves_something_or_loses_rows_is_refused(tmp_path: Path) -> None:
    for number, (down, said) in enumerate(
        (("SELECT 1;\n", "pets.pets_by_owner"), ("DROP INDEX pets_by_owner; DELETE FROM pets;\n", "rows: pets 0"),
         ("DROP INDEX nonsense;\n", "no such index"), ("ATTACH 'other.db' AS other;\n", "not authorized"))
    ):  # fmt: skip
        workspace = await make_migrating(tmp_path / str(number))
        files = {**INDEX, "migrations/002_owner.down.sql": down}
        head = await commit_files(workspace, workspace.base_commit, "Index owners", files)
        check = await rehearse_migrations(workspace, workspace.base_commit, head)
        assert check is not None and not check.passed
        assert said in check.detail, check.detail


async def test_without_new_migrations_there_is_nothing_to_rehearse(tmp_path: Path) -> None:
    workspace = await make_migrating(tmp_path)
    head = await commit_files(workspace, workspace.base_commit, "Raise", {"app.py": "value = 2\n"})
    assert await rehearse_migrations(workspace, workspace.base_commit, head) is None


def test_scripts_are_split_into_statements() -> None:
    script = "-- a; b\nCREATE TABLE a (x TEXT DEFAULT ';');\nDROP TABLE a"
    assert list(split_script(script)) == ["CREATE TABLE a (x TEXT DEFAULT ';');", "DROP TABLE a"]
    assert list(split_script("DO $$ BEGIN; END $$; SELECT 1;")) == ["DO $$ BEGIN; END $$; SELECT 1;"]


SETTINGS = """
import os
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["DATABASE"][len("sqlite:///"):]}}
"""
MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
MODELS = """
from django.db import models
class Item(models.Model):
    name = models.TextField()
"""
FIRST = """
from django.db import migrations, models
class Migration(migrations.Migration):
    fields = [("id", models.AutoField(primary_key=True)), ("name", models.TextField())]
    operations = [migrations.CreateModel("Item", fields)]
"""
SECOND = """
from django.db import migrations, models
class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [migrations.AddIndex("Item", models.Index(fields=["name"], name="item_by_name"))]
"""


async def test_django_migrations_are_rehearsed_by_django_itself(tmp_path: Path) -> None:
    files = {
        "manage.py": MANAGE, "settings.py": SETTINGS, "shop/__init__.py": "", "shop/models.py": MODELS,
        "shop/migrations/__init__.py": "", "shop/migrations/0001_initial.py": FIRST,
    }  # fmt: skip
    # The interpreter of the tests is no system folder, and not what is tested here.
    environment = {"DATABASE": "{database_url}", "PYTHONDONTWRITEBYTECODE": "1"}
    database = {"engine": "sqlite", "migrate": f"{sys.executable} manage.py migrate --noinput"}
    described = {"target": {"environment": environment}, "database": database}
    workspace = await make_workspace(tmp_path, files, described, sandbox=False)
    head = await commit_files(workspace, workspace.base_commit, "Index", {"shop/migrations/0002_index.py": SECOND})
    check = await rehearse_migrations(workspace, workspace.base_commit, head)
    assert check is not None and check.passed, check
    assert check.detail.startswith("Django: shop/migrations/0002_index.py taken down and up again")
