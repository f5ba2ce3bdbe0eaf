"""The house rules that no linter checks: sizes, names, places, and that documents say what is there."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import perfcrew

ROOT = Path(perfcrew.__file__).parents[1]
PACKAGES = ("perfcrew", "agents", "evals", "graphs", "prompts", "tools")
IGNORED = frozenset({"__pycache__", ".git", "build", "dist", "node_modules"})
MOST_LINES, MOST_FUNCTION_LINES = 300, 60
MOST_TEST_LINES, MOST_TEST_FUNCTION_LINES = 500, 100
"""Tests hold tables of cases and sources of small programs."""
FORBIDDEN = re.compile(r"(utils?|helpers?|managers?|common|misc)(\.py)?$")
PLACES = re.compile("/(?:" + "|".join(("work", "root")) + r")/\w")
TEXT = frozenset(
    {".py", ".md", ".toml", ".json", ".jsonl", ".html", ".css", ".txt", ".sql", ".ini", ".lock", ".example", ""}
)


def files() -> Iterator[Path]:
    """All files that could be committed, hidden tool caches left out."""
    folders = [ROOT]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            hidden = path.is_dir() and path.name.startswith(".") and path.name != ".ci"
            if path.name in IGNORED or hidden or path.name.endswith(".egg-info") or path.is_symlink():
                continue
            if path.is_dir():
                folders.append(path)
            else:
                yield path


def sources() -> list[Path]:
    """Our Python; the bundled applications are targets, not our code."""
    return [path for path in files() if path.suffix == ".py" and "app" not in path.relative_to(ROOT).parts]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def is_test(path: Path) -> bool:
    return path.relative_to(ROOT).parts[0] == "tests"


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 30


def test_files_fit_in_the_head() -> None:
    lengths = {named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    limits = {named(path): MOST_TEST_LINES if is_test(path) else MOST_LINES for path in sources()}
    assert {name: length for name, length in lengths.items() if length > limits[name]} == {}


def test_functions_fit_on_a_screen() -> None:
    long = {}
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > (MOST_TEST_FUNCTION_LINES if is_test(path) else MOST_FUNCTION_LINES):
                    long[f"{named(path)}:{node.name}"] = lines
    assert long == {}


def test_no_file_is_a_drawer_for_anything() -> None:
    inside = [path for path in sources() if path.relative_to(ROOT).parts[0] in PACKAGES]
    assert [named(path) for path in inside if FORBIDDEN.match(path.name) or FORBIDDEN.match(path.parent.name)] == []


def test_every_package_file_says_what_it_is() -> None:
    modules = {named(path): ast.parse(path.read_text(encoding="utf-8")) for path in sources() if not is_test(path)}
    assert [name for name, module in modules.items() if ast.get_docstring(module) is None] == []


def test_no_path_of_a_machine_is_written_down() -> None:
    found = {}
    for path in files():
        if path.suffix in TEXT and path.name != ".env":
            text = path.read_text(encoding="utf-8", errors="replace")
            found |= {
                f"{named(path)}:{n}": line[:80] for n, line in enumerate(text.splitlines(), 1) if PLACES.search(line)
            }
    assert found == {}


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    names = {re.split(r"[\[<>=!~ ]", each)[0] for each in wanted}
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    lines = dict(re.findall(r"^- \*\*([\w.-]+)\*\*: (.{10,})$", text, re.MULTILINE))
    assert sorted(lines) == sorted(names)


def test_the_documents_name_real_files() -> None:
    named_files = re.findall(r"`((?:perfcrew|agents|graphs|prompts|tools|evals|tests)/(?!RUN)[\w/.*-]+)`", "".join(
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "ARCHITECTURE.md")
    ))  # fmt: skip
    assert named_files
    assert [name for name in named_files if not list(ROOT.glob(name.rstrip("/")))] == []


def test_the_readme_tells_every_exit_code_and_command() -> None:
    from perfcrew.entry.cli import cli

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in cli.commands if f"`perfcrew {name}" not in text] == []
    assert all(re.search(rf"^\| {code} \|", text, re.MULTILINE) for code in range(4))


def test_the_changelog_knows_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
