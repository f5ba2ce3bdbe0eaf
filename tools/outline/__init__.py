"""The outline of a code base, read without running it: routes, functions, models, tables, indexes and how they connect.

Static and best-effort: a call that can't be resolved inside the repository has no edge. What runs how often, and what
it costs, comes from measurements (`tools.knowledge.merge_measurements`).
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.outline.express import add_scripts
from tools.outline.parts import Builder, Edge, Node, Outline
from tools.outline.python import add_python
from tools.outline.sql import add_sql_file

__all__ = ["Edge", "Node", "Outline", "read_outline"]

MAX_FILES = 5_000
MAX_BYTES = 1_000_000
PYTHON, SCRIPT, SQL = {".py"}, {".js", ".mjs", ".cjs", ".ts"}, {".sql"}
_SKIPPED = re.compile(
    r"(^|/)(\.[^/]+|node_modules|venv|env|site-packages|__pycache__|dist|build|tests?|__tests__)/"
    r"|(^|/)(test_[^/]*|[^/]*_test|conftest)\.py$|\.(test|spec|min|d)\.[a-z]+$"
)


def read_outline(checkout: Path, globs: Iterable[str] = ("**/*",)) -> Outline:
    """Read the outline of a checkout. Tests, dependencies and generated files are left out.

    Args:
        checkout: root folder; symbolic links are not followed.
        globs: which files may be read, as in `[target] source`.
    """
    builder = Builder()
    texts = dict(_read_texts(checkout, tuple(globs), builder))
    add_python({path: text for path, text in texts.items() if Path(path).suffix in PYTHON}, builder)
    add_scripts({path: text for path, text in texts.items() if Path(path).suffix in SCRIPT}, builder)
    for path, text in texts.items():
        if Path(path).suffix in SQL:
            add_sql_file(path, text, builder)
    return builder.outline()


def _read_texts(checkout: Path, globs: tuple[str, ...], builder: Builder) -> Iterator[tuple[str, str]]:
    wanted = PYTHON | SCRIPT | SQL
    paths = {path for glob in globs for path in checkout.glob(glob) if path.suffix in wanted}
    found = 0
    for path in sorted(paths):
        name = path.relative_to(checkout).as_posix()
        if _SKIPPED.search(name) or path.is_symlink() or not path.is_file():
            continue
        if not path.resolve().is_relative_to(checkout.resolve()):
            continue
        found += 1
        if found > MAX_FILES:
            builder.skipped.append(f"{name} and what follows: more than {MAX_FILES} files")
            return
        if path.stat().st_size > MAX_BYTES:
            builder.skipped.append(f"{name}: larger than {MAX_BYTES} bytes")
            continue
        yield name, path.read_text(encoding="utf-8", errors="replace")
