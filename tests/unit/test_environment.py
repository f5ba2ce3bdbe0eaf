"""The setup runs once per content of its inputs; each arm imports its own sources and finds its packages."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from target_repo import PYTHON, make_workspace

from perfcrew.errors import UserError
from tools.environment import prepare_environment
from tools.git import worktree_of
from tools.launch import Place, link_packages, prepare_launch, read_facts, run_at
from tools.sandbox import available
from tools.workspace import Workspace

COUNT = f"{PYTHON} -c \"open('{{env}}/count', 'a').write('x')\""
VENV = f"{{uv}} venv --quiet --offline --python {PYTHON} {{env}}"


async def _workspace(folder: Path, setup: tuple[str, ...], **more: object) -> Workspace:
    files = {"requirements.txt": "a\n", "app.py": "name = 'base'\n", "perfcrew.toml": "held out"}
    target = {"target": {"setup": setup, "setup_inputs": ("requirements.txt",), **more}}
    return await make_workspace(folder, files, target)


async def test_setup_runs_once_for_equal_inputs(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, (COUNT,))
    first, second = await asyncio.gather(prepare_environment(workspace), prepare_environment(workspace))
    again = await prepare_environment(replace(workspace, folder=tmp_path / "run"))
    assert first == second == again
    assert (first / "count").read_text() == "x"
    other = await _workspace(tmp_path / "other", (COUNT, "true"))
    assert await prepare_environment(replace(other, home=workspace.home)) != first


async def test_an_unfinished_setup_is_done_again(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, (COUNT,))
    env = await prepare_environment(workspace)
    (env.parent / "ready.json").unlink()
    assert await prepare_environment(workspace) == env
    assert (env / "count").read_text() == "x"


async def test_a_failing_command_is_one_line(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, (f"{PYTHON} -c \"import sys; print('starting'); sys.exit('no compiler')\"",))
    with pytest.raises(UserError) as caught:
        await prepare_environment(workspace)
    line = str(caught.value)
    assert "\n" not in line and "exit 1: no compiler" in line and line.endswith("setup.log)")
    assert "starting" in Path(line.rpartition("log: ")[2].rstrip(")")).read_text()


async def test_a_missing_input_is_named(tmp_path: Path) -> None:
    workspace = await make_workspace(tmp_path, {}, {"target": {"setup_inputs": ("absent.txt",)}})
    with pytest.raises(UserError, match=r"absent\.txt is not a file of the base commit"):
        await prepare_environment(workspace)


async def test_the_interpreter_works_where_home_is_hidden(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, (VENV,), environment={"GREETING": "on {port} for $USER ''", "EMPTY": ""})
    env = await prepare_environment(workspace)
    base = await worktree_of(workspace, workspace.base_commit)
    place = Place(env=env, workdir=base, scratch=tmp_path / "scratch", port=1234)
    script = "import os, sys, ssl, ctypes, app; print(sys.prefix, app.name, os.environ['GREETING'])"
    done = await run_at(workspace, place, f'python -c "{script}"', timeout=60, network="none")
    assert done.out == f"{env} base on 1234 for $USER ''\n", done.err
    listed = await run_at(workspace, place, "env", timeout=60, network="none")
    values = dict(line.split("=", 1) for line in listed.out.splitlines())
    assert values["HOME"] == str(tmp_path / "scratch") and values["PORT"] == "1234"
    names = {"PATH", "HOME", "LANG", "PORT", "GREETING", "EMPTY", "VIRTUAL_ENV", "PWD", "TMPDIR", "PERFCREW_PROCESS"}
    assert set(values) <= names and values["PATH"].startswith(f"{env}/bin:")
    if available():
        peek = await run_at(workspace, place, "cat perfcrew.toml", timeout=60, network="none")
        assert "held out" not in peek.out and not peek.ok
        probing = f"{PYTHON} -c \"open('{env}/x', 'w')\""
        assert "Read-only" in (await run_at(workspace, place, probing, timeout=60, network="none")).err


async def test_case_can_be_read_by_commands_that_name_it(tmp_path: Path) -> None:
    if not available():
        pytest.skip("without a sandbox everything can be read")
    case = tmp_path / "case"
    case.mkdir()
    (case / "check.py").write_text("print('hidden')")
    workspace = replace(await _workspace(tmp_path, ()), config_folder=case)
    env = await prepare_environment(workspace)
    base = await worktree_of(workspace, workspace.base_commit)
    place = Place(env=env, workdir=base, scratch=tmp_path / "scratch")
    named = await run_at(workspace, place, f"{PYTHON} {{case}}/check.py", timeout=60, network="none")
    assert named.out == "hidden\n"
    unnamed = await run_at(workspace, place, f"{PYTHON} {case}/check.py", timeout=60, network="none")
    assert not unnamed.ok and "hidden" not in unnamed.out


EDITABLE = """
import sys
from pathlib import Path
site = Path(sys.argv[1]) / "lib/python3.11/site-packages"
site.mkdir(parents=True)
here = Path.cwd()
(site / "flat.pth").write_text(f"import nothing\\n{here / 'lib'}\\n/elsewhere\\n")
(site / "__editable___pkg_1_finder.py").write_text(
    f"from __future__ import annotations\\nMAPPING: dict[str, str] = {{'pkg': {str(here / 'src' / 'pkg')!r}}}\\n"
)
(here / "node_modules" / "left-pad").mkdir(parents=True)
(here / "front" / "node_modules").mkdir(parents=True)
"""


async def test_editable_packages_come_from_the_arms_own_checkout(tmp_path: Path) -> None:
    files = {
        "make.py": EDITABLE, "src/pkg/__init__.py": "name = 'base'\n", "lib/flat.py": "", "front/index.js": "",
    }  # fmt: skip
    workspace = await make_workspace(tmp_path, files, {"target": {"setup": (f"{PYTHON} make.py {{env}}",)}})
    env = await prepare_environment(workspace)
    assert read_facts(env) == {"sources": ["lib", "src"], "packages": ["front/node_modules", "node_modules"]}
    base = await worktree_of(workspace, workspace.base_commit)
    (base / "src" / "pkg" / "__init__.py").write_text("name = 'candidate'\n")
    place = Place(env=env, workdir=base, scratch=tmp_path / "scratch")
    done = await run_at(
        workspace, place, f'{PYTHON} -c "import pkg, flat; print(pkg.name)"', timeout=60, network="none"
    )
    assert done.out == "candidate\n", done.err
    link_packages(env, base)
    link_packages(env, base)
    assert (base / "node_modules" / "left-pad").is_dir() and (base / "front" / "node_modules").is_dir()
    assert not (env.parent / "source" / "node_modules").exists()


async def test_trace_puts_the_tracer_first(tmp_path: Path) -> None:
    workspace = await _workspace(tmp_path, (), environment={"PYTHONPATH": "vendor"})
    env = await prepare_environment(workspace)
    base = await worktree_of(workspace, workspace.base_commit)
    place = Place(env=env, workdir=base, scratch=tmp_path / "scratch", trace=tmp_path / "trace")
    launch = prepare_launch(workspace, place, "true", network="none")
    assert launch.variables["PYTHONPATH"].split(":")[0].endswith("inject")
    assert launch.variables["PYTHONPATH"].endswith(":vendor")
    assert launch.variables["PERFCREW_TRACE"] == str(tmp_path / "trace")
    assert tmp_path / "trace" in launch.sandbox.writable
    assert sys.prefix not in launch.variables["PATH"]
