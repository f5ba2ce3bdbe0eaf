"""What is said where a terminal can do no more than lines, or where there is no terminal."""

import os
import select

from rich.console import Console

PAUSE_S = 0.05
"""Lines that follow one another faster belong together: they were pasted, or come from a program."""
CHUNK = 65_536


class PlainLines:
    """Reads lines; several that come at once are one thing said. A backslash at a line's end asks for the next line.

    Args:
        file: number of the open file that they come from.
        console: where to ask for them; None where nobody sees it.
    """

    def __init__(self, file: int, console: Console | None) -> None:
        self._file, self._console = file, console
        self._ended = False

    def read(self) -> str:
        """The next lines.

        Raises:
            EOFError: there is nothing more.
            KeyboardInterrupt: the user broke off.
        """
        if self._ended:
            raise EOFError
        self._show("perfcrew> ")
        try:
            said = self._take()
        except KeyboardInterrupt:
            self._show("\n")
            raise
        if self._ended and not said.strip():
            raise EOFError
        return said.replace("\\\n", "\n")

    def _take(self) -> str:
        taken = b""
        while not self._ended:
            chunk = os.read(self._file, CHUNK)
            self._ended = not chunk
            taken += chunk
            if taken.endswith(b"\n") and not taken.endswith(b"\\\n") and not self._more():
                break
        return taken.decode(errors="replace")

    def _more(self) -> bool:
        return bool(select.select([self._file], [], [], PAUSE_S)[0])

    def _show(self, text: str) -> None:
        if self._console is not None:
            self._console.print(text, end="")
            self._console.file.flush()
