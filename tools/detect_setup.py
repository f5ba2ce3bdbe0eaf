"""How a Python project's environment is made: requirements, pyproject, the locks of uv and Poetry. Read, never run."""

import tomllib
from pathlib import Path
from typing import Any

_PIP = "{uv} pip install --python {env}/bin/python"


def read_requirements(root: Path) -> str:
    """The text of all requirement files and of pyproject.toml, in lower case."""
    files = [
        *sorted(root.glob("*requirements*.txt")),
        root / "pyproject.toml",
        *sorted(root.glob("*/requirements.txt")),
    ]
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]
    return "\n".join(texts).lower()


def write_setup(
    root: Path, words: str, servers: tuple[str, ...], *, pytest: bool = True
) -> tuple[tuple[str, ...], tuple[str, ...], list[str]]:
    """Commands that fill {env}, the files they depend on, and what is open; `pytest` where it runs the tests."""
    venv = "{uv} venv --allow-existing {env}"
    tests = ("pytest",) if pytest and any(root.glob("**/test_*.py")) else ()
    missing = [name for name in (*servers, *tests) if name not in words]
    more = (f"{_PIP} {' '.join(missing)}",) if missing else ()
    data = _read_pyproject(root)
    if (root / "uv.lock").is_file():
        sync = "env UV_PROJECT_ENVIRONMENT={env} {uv} sync --frozen --no-install-project"
        return (sync, *more), ("pyproject.toml", "uv.lock"), []
    if (root / "poetry.lock").is_file():
        install = "env VIRTUAL_ENV={env} {uv} tool run poetry install --no-root --no-interaction"
        return (venv, install, *more), ("pyproject.toml", "poetry.lock"), []
    files = [path.name for path in sorted(root.glob("requirements*.txt"), key=lambda path: len(path.name))]
    files = files or [path.relative_to(root).as_posix() for path in sorted(root.glob("*/requirements.txt"))][:1]
    if files:
        return (venv, f"{_PIP} {' '.join(f'-r {name}' for name in files)}", *more), tuple(files), []
    if "project" in data:
        groups = "".join(f" --group {name}" for name in ("dev", "test") if name in data.get("dependency-groups", {}))
        extras = data["project"].get("optional-dependencies", {})
        extra = "".join(f" --extra {name}" for name in ("dev", "test", "tests") if name in extras)
        return (venv, f"{_PIP} -r pyproject.toml{extra}{groups}", *more), ("pyproject.toml",), []
    return (venv, *more), (), ["setup: no requirements were found: install what the application needs into {env}"]


def _read_pyproject(root: Path) -> dict[str, Any]:
    try:
        return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
