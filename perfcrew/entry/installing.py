"""`perfcrew install-commands`: writes and removes command files of a host, and never touches a file that isn't ours.

Each file ends with a line that holds the digest of what stands above it: so it is known to be ours, and to be as we
wrote it.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click

from perfcrew.artifacts import write_whole
from perfcrew.entry.host_files import HOSTS, commands_of_files, files_for
from perfcrew.errors import UserError

_MARK = re.compile(
    r"^[^\n]*written by perfcrew install-commands, sha256:(?P<digest>[0-9a-f]{64})[^\n]*\n?\Z", re.MULTILINE
)
Owner = Literal["nobody", "ours", "edited", "foreign"]


def install(given: Mapping[str, Any]) -> int:
    """Write or remove the files; exit code 2 where one was left alone."""
    host, user = given["host"], given["user"]
    form = HOSTS[host]
    folder = Path.home() / form.user if user else Path() / form.project
    left = 0
    for name, text in files_for(host).items():
        file = folder / name
        owner = owner_of(file)
        if owner in ("edited", "foreign"):
            left += 1
            click.echo(f"perfcrew: {file}: {_why(owner, removing=given['uninstall'])}", err=True)
        elif given["uninstall"]:
            _remove(file, folder)
        else:
            _write(file, text, form.comment)
    if not given["uninstall"]:
        commands = ", ".join(form.typed(command) for command in commands_of_files())
        click.echo(f"{host}: {commands}")
    done = "removed from" if given["uninstall"] else "written to"
    click.echo(f"{host}: {done} {folder}{f', {left} left alone' if left else ''}")
    return 2 if left else 0


def owner_of(file: Path) -> Owner:
    """Whose a file is: nobody's where there is none; `edited` where we wrote it and somebody changed it."""
    if file.is_symlink():
        return "foreign"
    if not file.exists():
        return "nobody"
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return "foreign"
    found = _MARK.search(text)
    if found is None:
        return "foreign"
    return "ours" if _digest(text[: found.start()]) == found["digest"] else "edited"


def _why(owner: Owner, *, removing: bool) -> str:
    done = "not removed" if removing else "not written"
    if owner == "edited":
        return f"{done}: you have changed it; delete it, and this command writes it again"
    return f"{done}: it is not perfcrew's; move it away first"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(file: Path, text: str, comment: str) -> None:
    mark = comment.format(f"written by perfcrew install-commands, sha256:{_digest(text)}")
    try:
        write_whole(file, f"{text}{mark}\n".encode())
    except OSError as error:
        raise UserError(f"{file}: can't be written: {error.strerror}") from None


def _remove(file: Path, folder: Path) -> None:
    """Remove a file of ours, and the folders below the host's that are empty then."""
    if not file.exists():
        return
    file.unlink()
    for parent in file.parents:
        if parent == folder or any(parent.iterdir()):
            break
        parent.rmdir()
