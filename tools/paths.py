"""Paths that models name: which globs they match, and that they stay inside."""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path, PurePosixPath

from perfcrew.errors import Forbidden, ToolError

SECRETS = (
    "**/.env", "**/.env.*", "**/*.pem", "**/*.key", "**/*.p12", "**/*.pfx", "**/*.kdbx", "**/id_rsa*", "**/id_ed25519*",
    "**/id_ecdsa*", "**/.netrc", "**/.npmrc", "**/.pypirc", "**/.pgpass", "**/credentials", "**/credentials.json",
    "**/secrets.json", "**/secrets.y*ml", "**/secrets.toml", "**/secrets.env", "**/.aws/**", "**/.ssh/**",
    "**/.gnupg/**",
)  # fmt: skip
"""Files that look like secrets: no tool shows them."""
SHOWN = ("**/.env.example", "**/.env.sample", "**/.env.template")


@cache
def _compiled(glob: str) -> re.Pattern[str]:
    text = glob.removeprefix("./")
    # A folder, with or without its slash, stands for all that is in it.
    text = text + "**" if text.endswith("/") else text
    pattern = ""
    for part in re.split(r"(\*\*/|/\*\*$|\*\*|\*|\?|\[!?[^]]+\])", text):
        if part.startswith("[") and part.endswith("]"):
            pattern += part.replace("[!", "[^", 1)
            continue
        kinds = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        pattern += kinds.get(part, re.escape(part))
    plain = not re.search(r"[*?\[]", text.rpartition("/")[2])
    return re.compile(pattern + (r"(?:/.*)?\Z" if plain else r"\Z"), re.DOTALL)


def matches(path: str, globs: Iterable[str]) -> bool:
    """Whether a path relative to the repository matches one of the globs.

    `**` stands for any number of folders, `*` and `?` never for a slash; a plain name at the end stands for a file or
    for all that is below a folder.
    """
    return any(_compiled(glob).match(path) for glob in globs)


def is_secret(path: str) -> bool:
    """Whether a file's name says that it holds secrets."""
    return matches(path.lower(), SECRETS) and not matches(path.lower(), SHOWN)


def resolve_inside(root: Path, name: str) -> Path:
    """The place of a path relative to a checkout, none of whose parts is a symbolic link.

    Raises:
        Forbidden: it leads elsewhere, or into `.git`.
        ToolError: it is empty.
    """
    pure = PurePosixPath(name.strip())
    if not name.strip() or "\0" in name:
        raise ToolError("expected a path relative to the repository, got nothing")
    if pure.is_absolute() and pure.is_relative_to(root.as_posix()):
        pure = pure.relative_to(root.as_posix())
    if pure.is_absolute() or ".." in pure.parts:
        raise Forbidden(f"{name}: expected a path relative to the repository, without `..`")
    if any(part.lower() == ".git" for part in pure.parts):
        raise Forbidden(f"{name}: .git is out of bounds")
    path = root
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise Forbidden(f"{path.relative_to(root)}: symbolic links are not followed")
    return path
