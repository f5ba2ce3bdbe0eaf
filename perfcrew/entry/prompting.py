"""The chat's line of input on a real terminal: history, completion, several lines, paste."""

from collections.abc import Callable, Iterator
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from perfcrew.entry.commands import CATALOGUE, VARIATIONS
from perfcrew.records.models import ROLES

HISTORY = "chat_history"
MOST_RUNS = 20


class Prompting:
    """Asks at a terminal.

    Args:
        home: perfcrew's folder, with runs and the history of what was said.
        repo: whose paths are completed.
        run_id: the run at hand, for the line below.
        proposal: the command that the guide proposed, which Tab takes.
    """

    def __init__(self, home: Path, repo: Path, run_id: Callable[[], str], proposal: Callable[[], str]) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._run_id, self._proposal = run_id, proposal
        self._session: PromptSession[str] = PromptSession(
            history=FileHistory(str(home / HISTORY)),
            completer=Words(home, repo, proposal),
            complete_while_typing=True,
            multiline=True,
            prompt_continuation="  ",
            key_bindings=_keys(),
            bottom_toolbar=self._below,
            reserve_space_for_menu=6,
        )

    def read(self) -> str:
        """The next thing said."""
        proposed = self._proposal()
        return self._session.prompt("› ", placeholder=f"Tab takes {proposed}" if proposed else "")

    def _below(self) -> str:
        run_id = self._run_id()
        return f"{f'run {run_id} · ' if run_id else ''}Enter sends · Alt-Enter new line · Tab completes · /quit"


def _keys() -> KeyBindings:
    keys = KeyBindings()

    # What was typed while work was under way comes with a line feed in place of Enter.
    @keys.add("enter")
    @keys.add("c-j")
    def send(event: KeyPressEvent) -> None:
        # Where a terminal does not mark what is pasted, its lines still come in one go.
        if event.app.key_processor.input_queue:
            event.current_buffer.insert_text("\n")
        else:
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys


class Words(Completer):
    """Completes commands, what they take, and paths of the application."""

    def __init__(self, home: Path, repo: Path, proposal: Callable[[], str]) -> None:
        self._home, self._proposal = home, proposal
        self._paths = PathCompleter(get_paths=lambda: [str(repo)], expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """What the word before the cursor can become."""
        if not document.text:
            if complete_event.completion_requested and self._proposal():
                yield Completion(self._proposal())
            return
        line = document.current_line_before_cursor.lstrip()
        name, space, rest = line.partition(" ")
        if line.startswith("/") and not space:
            for each, entry in CATALOGUE.items():
                if each.startswith(line[1:]) or each.rpartition(":")[2].startswith(line[1:]):
                    yield Completion(f"/{each}", -len(line), display_meta=entry.does)
            return
        word = rest.rpartition(" ")[2] if space else line
        for choice in self._choices(name[1:]) if name.startswith("/") and " " not in rest else ():
            if choice.startswith(word):
                yield Completion(choice, -len(word))
        if "/" in word or (word and complete_event.completion_requested):
            yield from self._paths.get_completions(Document(word), complete_event)

    def _choices(self, name: str) -> tuple[str, ...]:
        """What a command takes first."""
        match name:
            case "recipe":
                return VARIATIONS
            case "help":
                return tuple(CATALOGUE)
            case "model":
                return ROLES
            case "resume":
                runs = sorted((path.name for path in (self._home / "runs").glob("*")), reverse=True)
                return ("last", *runs[:MOST_RUNS])
            case "approve":
                return ("no",)
        return ()
