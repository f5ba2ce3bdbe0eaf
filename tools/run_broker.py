"""Holds a network namespace and makes sockets in it; ends when its line is closed.

    python -I -m tools.run_broker DESCRIPTOR

It says its process id first; each message that comes in is answered with a TCP socket.
"""

import os
import socket
import sys


def main() -> None:
    """Answer until the other end is closed."""
    with socket.socket(fileno=int(sys.argv[1])) as line:
        line.send(str(os.getpid()).encode())
        while line.recv(64):
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
                socket.send_fds(line, [b"socket"], [made.fileno()])


if __name__ == "__main__":
    main()
