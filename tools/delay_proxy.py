"""A TCP proxy that adds a delay: the program that stands between an arm and its database. Threads, because timers of
event loops are too coarse for a millisecond.

    python -I -m tools.delay_proxy HOST PORT

It says its two ports in one line: where it listens, and where each line that comes in sets the delay (ms each way).
"""

import contextlib
import queue
import socket
import sys
import threading
import time
from statistics import median

CHUNK = 65536
_OVERSHOOT_S = 0.001


class Delay:
    """Seconds that each chunk of bytes is kept, each way; may change at any time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.overshoot = measure_overshoot()

    def until(self, arrived: float) -> None:
        """Wait until a chunk that arrived then is due."""
        if self.seconds <= 0:
            return
        left = arrived + self.seconds - time.perf_counter()
        if left > self.overshoot:
            time.sleep(left - self.overshoot)
        while time.perf_counter() < arrived + self.seconds:
            # The last few microseconds that sleeping would overshoot.
            time.sleep(0)


def measure_overshoot() -> float:
    """Seconds by which a short sleep comes late on this machine."""
    late = []
    for _ in range(20):
        began = time.perf_counter()
        time.sleep(0.0005)
        late.append(time.perf_counter() - began - 0.0005)
    return min(_OVERSHOOT_S, max(0.0, median(late)))


def pump(source: socket.socket, target: socket.socket, delay: Delay) -> None:
    """Pass on what comes from one end to the other, each chunk when it is due, until the end closes."""
    chunks: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_send, args=(chunks, target, delay), daemon=True).start()
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            chunks.put((time.perf_counter(), data))
    chunks.put((time.perf_counter(), b""))


def _send(chunks: "queue.SimpleQueue[tuple[float, bytes]]", target: socket.socket, delay: Delay) -> None:
    with contextlib.suppress(OSError):
        while True:
            arrived, data = chunks.get()
            delay.until(arrived)
            if not data:
                target.shutdown(socket.SHUT_WR)
                return
            target.sendall(data)


def serve(listener: socket.socket, upstream: tuple[str, int], delay: Delay) -> None:
    """Accept connections and join each to one of its own upstream."""
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(upstream, timeout=10)
        except OSError as error:
            print(f"{upstream[0]}:{upstream[1]}: {error}", file=sys.stderr, flush=True)
            client.close()
            continue
        server.settimeout(None)
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pump, args=(*ends, delay), daemon=True).start()


def obey(control: socket.socket, delay: Delay) -> None:
    """Each line that comes in is a delay in ms, answered with an empty line when it holds."""
    while True:
        caller, _ = control.accept()
        with caller, caller.makefile("rw") as lines:
            for line in lines:
                delay.seconds = float(line) / 1000
                lines.write("\n")
                lines.flush()


def main() -> None:
    """Listen until killed."""
    delay = Delay()
    upstream = (sys.argv[1], int(sys.argv[2]))
    listener, control = (socket.create_server(("127.0.0.1", 0)) for _ in range(2))
    print(listener.getsockname()[1], control.getsockname()[1], flush=True)
    threading.Thread(target=obey, args=(control, delay), daemon=True).start()
    serve(listener, upstream, delay)


if __name__ == "__main__":
    main()
