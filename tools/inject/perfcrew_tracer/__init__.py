"""The tracer: which requests a target answers, and which statements it sends to its database for each.

It runs inside the target. Every hook of its own is guarded: what fails is lost from the trace, never felt by the
target. Modules of the target's are patched when the target imports them, and nothing is imported that it does not.
"""

from .record import start as _start


def activate(folder: str, root: str) -> None:
    """Trace this process into `folder`/<pid>.jsonl; `root` is the folder whose source lines count as the target's."""
    from . import imports, requests, statements

    _start(folder, root)
    imports.install({**requests.HOOKS, **statements.HOOKS})
