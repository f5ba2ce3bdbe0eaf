"""What a process says, under a cap, and what is known of it at its end."""

import asyncio
from dataclasses import dataclass, field


@dataclass
class Capped:
    """Output of which the first and the last half of the cap are kept."""

    cap: int
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)
    dropped: int = 0

    async def read(self, stream: asyncio.StreamReader) -> None:
        """Read a stream to its end."""
        half = max(self.cap // 2, 1)
        while chunk := await stream.read(65536):
            room = half - len(self.head)
            self.head += chunk[:room]
            self.tail += chunk[room:] if room < len(chunk) else b""
            if len(self.tail) > 2 * half:
                self.dropped += len(self.tail) - half
                del self.tail[:-half]

    def text(self) -> str:
        """What was kept, with a note in the place of what was not."""
        half = max(self.cap // 2, 1)
        dropped = self.dropped + max(len(self.tail) - half, 0)
        note = f"\n[{dropped} bytes left out]\n".encode() if dropped else b""
        return (bytes(self.head) + note + bytes(self.tail[-half:])).decode(errors="replace")


@dataclass(frozen=True)
class Finished:
    """A process that has ended. `code` is negative for a signal, as in `subprocess`."""

    code: int
    out: str
    err: str
    seconds: float
    timed_out: bool
    exceeded: str = ""
    """The limit for which it was killed; empty where it kept within them."""
    detached: bool = False
    """Whether a process of it was seen that had left its session, as a daemon does; it was ended with the others."""

    @property
    def ok(self) -> bool:
        """Whether it ended in time, within its limits and with exit code 0."""
        return self.code == 0 and not self.timed_out and not self.exceeded

    @property
    def last_line(self) -> str:
        """The limit that it exceeded, else the last line that says anything, from the error output if there is one."""
        if self.exceeded:
            return f"ended, because {self.exceeded}"
        lines = [line.strip() for text in (self.out, self.err) for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else "no output"
