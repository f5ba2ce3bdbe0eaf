"""The tracer: which requests a target answers, and which statements it sends to its database for each.

It runs inside the target. Every hook of its own is guarded: what fails is lost from the trace, never felt by the
target. Modules of the target's are patched when the target imports them, and nothing is imported that it does not.
"""

from .record import start as _start


def activate(folder: str, root: str, watch: str = "") -> None:
    """Watch this process and write to `folder`.

    `root` is the folder whose source lines count as the target's. `watch` says what for: nothing for requests and
    statements, `loop` for how late event loops are, `allocations` for memory by call site, `count` for how often
    memory is allocated, `pool` for how long requests wait for a database connection.
    """
    if watch == "profile":
        # Python is profiled from outside.
        return
    from . import imports, requests

    _start(folder, root)
    hooks = dict(requests.HOOKS)
    if watch == "loop":
        from . import lag

        hooks.update(lag.install())
    elif watch == "allocations":
        from . import allocations

        allocations.install(folder)
    elif watch == "count":
        from . import allocations

        allocations.count_calls(folder)
    elif watch == "pool":
        from . import pools

        hooks.update(pools.HOOKS)
    else:
        from . import statements

        hooks.update(statements.HOOKS)
    imports.install(hooks)
