"""The slash commands as other hosts get them: one table, from which prompts and command files are made.

What a command says to a host's model is how to call perfcrew; the figures in the answer are perfcrew's.
"""

from dataclasses import dataclass

_NO_FIGURES = (
    "Every figure that you tell the user must stand in perfcrew's output, with its interval where it has one; "
    "never estimate one."
)
_LONG = (
    "This takes from minutes to hours. Start it in the background where your shell tool has a time limit, and look at "
    "`perfcrew runs` until it is done; then `perfcrew report RUN --md` has the whole of it."
)


@dataclass(frozen=True)
class HostCommand:
    """One command.

    Attributes:
        name: as people type it, without the slash.
        help: what it does, in a line.
        hint: what may follow it.
        tool: the tool of `perfcrew mcp` that does it.
        shell: the command line that does it; empty where only the server can.
        script: whether it is a slash command of perfcrew's own grammar, handed over as it is.
        patches: whether it leaves a branch with changed code.
    """

    name: str
    help: str
    hint: str = ""
    tool: str = "run_commands"
    shell: str = ""
    script: bool = False
    patches: bool = False


def _agent(role: str, does: str, hint: str, *, patches: bool = False) -> HostCommand:
    return HostCommand(f"agent:{role}", does, hint, script=True, patches=patches)


HOST_COMMANDS = (
    _agent("performance", "Measure the application, or a changed version against it", "what to analyse"),
    _agent("memory-sync", "Capture the architecture in perfcrew's knowledge graph", "what to capture"),
    _agent("architect", "Plan optimisations from what was measured", "targets and constraints"),
    _agent("coder", "Implement the plan; a change is kept only if it wins a duel", "what to implement", patches=True),
    _agent("tester", "Hunt regressions in the changed version", "what to test"),
    _agent("security", "Review what the changed version adds", "what to look at"),
    HostCommand(
        "recipe", "Measure, plan, patch and prove: the whole recipe",
        "[full|api|frontend|database|microservices] and the issue", script=True, patches=True,
    ),
    HostCommand(
        "measure", "Say where time, memory and bytes go; needs no model and no key", "names of workloads",
        tool="measure", shell="perfcrew measure --markdown -",
    ),
    HostCommand(
        "compare", "Say whether one revision is faster than another, by a duel",
        "BASE, and CANDIDATE unless it is the worktree",
        tool="compare", shell="perfcrew compare BASE CANDIDATE --markdown -   (or: BASE --worktree)",
    ),
    HostCommand(
        "status", "Say what a run is doing", "a run's id; the newest by default",
        tool="run_status", shell="perfcrew runs",
    ),
    HostCommand(
        "approve", "Answer the plan that waits", "yes or no, and a note", tool="approve_plan", patches=True,
    ),
    HostCommand(
        "report", "Show a run's report", "a run's id; the newest by default",
        tool="run_status", shell="perfcrew report RUN --md   (RUN is an id or: last)",
    ),
    HostCommand("runs", "List the newest runs", tool="", shell="perfcrew runs"),
)  # fmt: skip


def shell_text(command: HostCommand, said: str) -> str:
    """What a host with a shell is told.

    Args:
        command: which.
        said: what the user typed after it, or the host's placeholder for that.
    """
    lines = [f"{command.help}, with perfcrew.", ""]
    if command.script:
        lines += [
            "Run this in a shell, in the repository's folder, with the lines between the marks exactly as they stand:",
            "", "```", "perfcrew exec - <<'PERFCREW'", f"/{command.name} {said}".rstrip(), "PERFCREW", "```", "",
            f"If the tools of the MCP server `perfcrew` are at hand, call `{command.tool}` with the line between the "
            "marks as `text` instead.",
            "A later command goes on with the same state: `perfcrew exec --resume RUN -`, or `resume` of the tool; the "
            "output of the one before names RUN.", _LONG,
        ]  # fmt: skip
    else:
        lines += [
            f"The user said: {said}" if command.hint else "",
            "",
            "Run this in a shell, in the repository's folder:",
        ]
        lines += ["", "```", command.shell, "```", ""]
        if command.tool:
            lines.append(f"If the tools of the MCP server `perfcrew` are at hand, call `{command.tool}` instead.")
    lines += _rules(command)
    return "\n".join(_squeeze(lines)) + "\n"


def prompt_text(command: HostCommand, said: str, *, writes: bool) -> str:
    """What a host that is connected to the MCP server is told."""
    if command.patches and not writes:
        return (
            f"/{command.name} changes code, and this perfcrew server is read-only. Tell the user to start it as "
            "`perfcrew mcp --allow-patches`, and do nothing else."
        )
    if command.script:
        call = f"Call the tool `{command.tool}` of the MCP server perfcrew with this `text`, exactly as it stands:"
        lines = [call, "", f"/{command.name} {said}".rstrip(), ""]
        lines.append(
            "Then look with `run_status` and a `wait_s` until it has finished. The user answers a plan that waits."
        )
    elif command.tool:
        lines = [
            f"Call the tool `{command.tool}` of the MCP server perfcrew. The user said: {said or '(nothing more)'}"
        ]
    else:
        lines = ["Read the resource perfcrew://runs of the MCP server perfcrew and list the runs."]
    return "\n".join([*lines, *_rules(command)])


def _rules(command: HostCommand) -> list[str]:
    patched = "Don't edit files yourself meanwhile: perfcrew works in copies and leaves a branch `perfcrew/RUN`."
    return ["", _NO_FIGURES, *([patched] if command.patches else [])]


def _squeeze(lines: list[str]) -> list[str]:
    return [line for n, line in enumerate(lines) if line or (n and lines[n - 1])]
