"""The network of a run's applications: a namespace with loopback and the services that the target declares.

A small process (`tools.run_broker`) holds the namespace. Whatever talks to applications is started in it. Our own
process stays outside, where models are reached: the holder hands it sockets that were made inside, and a socket belongs
to the namespace in which it was made, whoever uses it. So no relay stands between an application and what measures it.
A declared service is relayed (`tools.relay`) from the same port inside; so are, the other way, connections of libraries
that take no socket.
"""

import asyncio
import fcntl
import os
import shutil
import socket
import struct
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from perfcrew.errors import InstrumentError
from tools.process import Companion, accompany, probe

LOOPBACK = "127.0.0.1"
ANSWER_S = 10.0
_NAMED = "127.77.0.{}"
"""Addresses inside of services that have a name: one each, so that two may use one port."""
_SET_ADDRESS = 0x8916
"""SIOCSIFADDR of netdevice(7)."""
_inside: "weakref.WeakValueDictionary[int, RunNetwork]" = weakref.WeakValueDictionary()
_given: set[int] = set()


class RunNetwork:
    """A network namespace, made at first need and gone with the last who knows it.

    Args:
        services: host and port of each service of the machine's network that can be reached inside.
    """

    def __init__(self, services: Sequence[tuple[str, int]] = ()) -> None:
        self._services = tuple(dict.fromkeys(services))
        self._lock = threading.RLock()
        self._line: socket.socket | None = None
        self._pid = 0
        self._companions: dict[int, Companion] = {}
        """The holder at 0; the others by the port inside that they lead to or from."""
        self._doors: dict[int, int] = {}
        self._addresses: dict[str, str] = {}
        self._folder = ""

    @property
    def hosts(self) -> Path | None:
        """A file for /etc/hosts with the names of the services; None where none has a name."""
        self._hold()
        return Path(self._folder) / "hosts" if self._addresses else None

    def enter(self) -> tuple[str, ...]:
        """What to put before a command, so that it runs inside.

        Raises:
            InstrumentError: there can be no such network here, or its holder has ended.
        """
        self._hold()
        nsenter = shutil.which("nsenter", path=f"{os.defpath}:/usr/sbin:/sbin") or "nsenter"
        return (nsenter, "--preserve-credentials", "--user", "--net", "--target", str(self._pid), "--")

    def make_socket(self) -> socket.socket:
        """A TCP socket (IPv4) of the namespace.

        Raises:
            InstrumentError: as `enter`.
        """
        self._hold()
        with self._lock:
            assert self._line is not None
            try:
                self._line.send(b"socket")
                _, descriptors, _, _ = socket.recv_fds(self._line, 16, 1)
            except OSError:
                descriptors = []
        if not descriptors:
            raise _ended(self._pid)
        return socket.socket(fileno=descriptors[0])

    def free_port(self) -> int:
        """A free port on its loopback that this process has not given to anyone yet."""
        while True:
            with self.make_socket() as tried:
                tried.bind((LOOPBACK, 0))
                port: int = tried.getsockname()[1]
            if port not in _given:
                self.adopt(port)
                return port

    def adopt(self, port: int) -> None:
        """Know a port as one where something inside listens, so that `connect` finds it."""
        _given.add(port)
        _inside[port] = self

    def address_of(self, host: str) -> str:
        """Where a service is reached inside: its address, or that which stands for its name."""
        self._hold()
        return self._addresses.get(host, host)

    def door(self, port: int) -> int:
        """A port of this machine's loopback that leads to one inside, for libraries that take no socket."""
        enter = self.enter()
        with self._lock:
            if port not in self._doors:
                with socket.create_server((LOOPBACK, 0)) as listener:
                    self._companions[port] = _relay(enter, listener, LOOPBACK, port)
                    self._doors[port] = listener.getsockname()[1]
            return self._doors[port]

    def close_door(self, port: int) -> None:
        """Close a door; does nothing where there is none."""
        with self._lock:
            if self._doors.pop(port, None) is not None:
                self._companions.pop(port).end()

    def _hold(self) -> None:
        """Start the holder where it does not run yet."""
        with self._lock:
            if self._line is None:
                self._start()
            elif not self._companions[0].alive:
                raise _ended(self._pid)

    def _start(self) -> None:
        bwrap = shutil.which("bwrap")
        if bwrap is None:
            raise InstrumentError("bwrap is not installed (Debian: apt-get install bubblewrap)")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            argv = [bwrap, "--unshare-user", "--unshare-net", "--dev-bind", "/", "/", "--", *_program("run_broker")]
            holder = accompany([*argv, str(theirs.fileno())], theirs.fileno())
        ours.settimeout(ANSWER_S)
        try:
            told = ours.recv(32)
        except TimeoutError:
            told = b""
        if not told:
            ours.close()
            raise InstrumentError(f"a network namespace can't be made here ({holder.end() or 'no answer'})")
        self._line, self._pid, self._companions[0] = ours, int(told), holder
        self._folder = tempfile.mkdtemp(prefix="perfcrew-")
        weakref.finalize(self, _end, ours, self._companions, self._folder)
        self._admit()

    def _admit(self) -> None:
        """Relay the services, and write down their names."""
        aliases = 0
        for host, port in self._services:
            if _is_address(host):
                if not host.startswith("127."):
                    aliases += 1
                    with self.make_socket() as made:
                        name = f"lo:{aliases}".encode()
                        family_and_address = struct.pack("<HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))
                        fcntl.ioctl(made, _SET_ADDRESS, struct.pack("16s16s8x", name, family_and_address))
            elif host == "localhost":
                self._addresses.setdefault(host, LOOPBACK)
            else:
                self._addresses.setdefault(host, _NAMED.format(len(self._addresses) + 1))
            with self.make_socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((self._addresses.get(host, host), port))
                listener.listen(128)
                self._companions[-len(self._companions)] = _relay((), listener, host, port)
        system = Path("/etc/hosts")
        # Of two lines with one name the first holds.
        lines = [f"{address} {name}\n" for name, address in self._addresses.items()]
        lines += [system.read_text(errors="replace")] if system.exists() else []
        (Path(self._folder) / "hosts").write_text("".join(lines))
        Path(self._folder).chmod(0o755)


Network = Literal["none", "host"] | RunNetwork
"""What a process can reach: `none` is loopback of its own, `host` the machine's network, else that of its run."""


@cache
def problem() -> str:
    """Why applications can't have a network of their own here, found out by trying; empty where they can."""
    if sys.platform != "linux":
        return "network namespaces are Linux's"
    network = RunNetwork()
    try:
        code, output = probe([*network.enter(), "bwrap", "--unshare-user", "--dev-bind", "/", "/", "--", "true"])
    except InstrumentError as error:
        return str(error)
    if code == 127:
        return "nsenter is not installed (Debian: apt-get install util-linux)"
    return "" if code == 0 else f"nsenter does not work here ({output.splitlines()[0] if output else f'exit {code}'})"


def network_here(services: Sequence[tuple[str, int]] = ()) -> RunNetwork | None:
    """A network for applications where there can be one, else None: see `problem`."""
    return None if problem() else RunNetwork(services)


def network_at(port: int) -> RunNetwork | None:
    """The network in which a port was given out; None for a port of this machine."""
    return _inside.get(port)


async def connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to where an application listens: in the network that gave out its port, else on this machine.

    Raises:
        OSError: nothing listens there.
        InstrumentError: the network has ended.
    """
    network = network_at(port) if host == LOOPBACK else None
    if network is None:
        return await asyncio.open_connection(host, port)
    made = network.make_socket()
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, (host, port))
        return await asyncio.open_connection(sock=made)
    except BaseException:
        made.close()
        raise


def from_here(url: str) -> str:
    """A URL as this process can use it with a library that takes no socket: where its port is one inside, by a door."""
    parts = urlsplit(url)
    network = network_at(parts.port) if parts.port and parts.hostname == LOOPBACK else None
    if network is None or parts.port is None:
        return url
    user, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{LOOPBACK}:{network.door(parts.port)}").geturl()


def close_door_of(url: str) -> None:
    """Close the door that `from_here` opened for a URL, if it did."""
    port = urlsplit(url).port
    network = network_at(port) if port else None
    if network is not None and port:
        network.close_door(port)


def _program(module: str) -> list[str]:
    return [sys.executable, "-I", "-m", f"tools.{module}"]


def _relay(enter: Sequence[str], listener: socket.socket, host: str, port: int) -> Companion:
    descriptor = listener.fileno()
    return accompany([*enter, *_program("relay"), str(descriptor), host, str(port)], descriptor)


def _is_address(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True


def _ended(pid: int) -> InstrumentError:
    return InstrumentError(
        f"the network of the running applications has ended (its holder, process {pid}): start again"
    )


def _end(line: socket.socket, companions: dict[int, Companion], folder: str) -> None:
    line.close()
    for companion in companions.values():
        companion.end()
    shutil.rmtree(folder, ignore_errors=True)
