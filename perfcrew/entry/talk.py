"""Questions without a slash: the guide's words as they come, and the command that it proposes."""

from rich.console import Console

from graphs.engine import RunOptions
from graphs.guidance import Guidance, ask_guide
from perfcrew.entry.commands import CATALOGUE, parse_commands
from perfcrew.entry.drive import run_to_end
from perfcrew.errors import UserError
from perfcrew.records.events import Event
from perfcrew.report.terminal import safe
from perfcrew.settings import Settings

MOST_EARLIER = 6
"""Questions of this talk that the guide is reminded of."""


class Talk:
    """One talk with the guide."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._waiting = console.status("asking the guide")
        self._earlier: list[tuple[str, str]] = []
        self._open = False
        """Whether the cursor stands amid a line."""
        self._heard = ""
        self.proposal = ""
        """The command that the newest answer proposes."""

    def ask(self, question: str, options: RunOptions, settings: Settings) -> str:
        """Ask, and print the answer while it comes; the run's id."""
        self._heard = self.proposal = ""
        self._waiting.start()
        try:
            guidance = run_to_end(
                ask_guide(
                    options, question, settings=settings, watch=self._watch, commands=list_commands(), check=find_fault,
                    earlier=self._earlier[-MOST_EARLIER:], overhear=lambda _: self,
                )
            )  # fmt: skip
        finally:
            self._waiting.stop()
            self._end_line()
        self._print(guidance)
        proposed = f"\n{guidance.command}" if guidance.command else ""
        self.proposal = guidance.command
        self._earlier.append((question, f"{guidance.text}{proposed}"))
        return guidance.run_id

    def heard(self, text: str) -> None:
        """Another piece of the answer came."""
        self._waiting.stop()
        self._heard += text
        self._console.print(safe(text), end="", soft_wrap=True)
        self._open = not text.endswith("\n")

    def start_over(self) -> None:
        """What was heard does not count."""
        self._end_line()
        self._heard = ""
        self._console.print("(the answer broke off; once more)", style="dim")

    def _watch(self, event: Event) -> None:
        if event.kind in ("tool", "warning"):
            self._waiting.stop()
            self._end_line()
            self._console.print(safe(f"  {event.text}", "yellow" if event.kind == "warning" else "dim"))

    def _end_line(self) -> None:
        if self._open:
            self._console.print()
            self._open = False

    def _print(self, guidance: Guidance) -> None:
        # A service that does not stream was not heard.
        if guidance.text and guidance.text.strip() not in self._heard:
            self._console.print(safe(guidance.text))
        if guidance.evidence:
            self._console.print(safe(f"  rests on: {', '.join(guidance.evidence)}", "dim"))
        if guidance.command:
            self._console.print(safe("  proposes: ", "dim").append(safe(guidance.command, "bold")))


def list_commands() -> str:
    """The commands that the guide can propose, a line each."""
    return "\n".join(f"- /{name} {entry.takes}: {entry.does}" for name, entry in CATALOGUE.items())


def find_fault(command: str) -> str:
    """What is wrong with a proposed command; empty where it is one."""
    try:
        parse_commands(command)
    except UserError as error:
        return f"`command`: {error}"
    return ""
