"""What a process says, under a cap."""

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
