"""How a command of the target is started: placeholders filled, an environment of its own, inside the sandbox."""

import json
import shlex
import shutil
import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.command_line import fill
from tools.process import run
from tools.process_output import Finished
from tools.run_network import Network
from tools.sandbox import Sandbox
from tools.server import NETWORKED
from tools.workspace import Workspace

INJECT = Path(__file__).parent / "inject"
"""Put before the target's own modules where it is traced."""
NODE_TRACER = INJECT / "node_tracer" / "start.cjs"
"""Loaded by Node before the target's own modules where it is traced."""
_given: set[int] = set()


@dataclass(frozen=True)
class Place:
    """Where a command of the target runs.

    Attributes:
        env: what the setup made.
        workdir: the checkout; working directory and writable.
        scratch: a writable folder of its own, its HOME.
        data: its copy of the data, writable.
        database_url: that copy as a URL.
        port: where it shall listen.
        trace: folder for the injected tracer's files; None runs untraced.
        masked: paths of the checkout that look empty, beside the description and what it hides.
        watch: what the tracer looks at: nothing for requests and statements, `loop` for how late event loops are,
            `allocations` for memory by call site, `count` for how often it is allocated, `profile` for CPU and heap
            of Node.
    """

    env: Path
    workdir: Path
    scratch: Path
    data: Path | None = None
    database_url: str = ""
    port: int | None = None
    trace: Path | None = None
    watch: str = ""
    masked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Launch:
    """Everything that starting a command takes."""

    argv: list[str]
    cwd: Path
    variables: dict[str, str]
    sandbox: Sandbox


def prepare_launch(
    workspace: Workspace,
    place: Place,
    template: str,
    *,
    network: Network,
    extra: Mapping[str, str] | None = None,
) -> Launch:
    """Make a command of the description ready to start.

    Args:
        workspace: the run.
        place: where.
        template: the command with its placeholders.
        network: what it can reach.
        extra: further placeholders, such as `url`.

    Raises:
        UserError: the command holds an unknown placeholder or an open quote.
    """
    place.scratch.mkdir(parents=True, exist_ok=True)
    known = _Asked({**placeholders(workspace, place), **(extra or {})})
    argv = fill(template, known)
    sandbox = confine(workspace, place, network=network, named=known.names)
    return Launch(argv, place.workdir, variables(workspace, place, known, sandbox), sandbox)


class _Asked(dict[str, str]):
    """Placeholders that remember which of them were used."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)


async def run_at(
    workspace: Workspace,
    place: Place,
    template: str,
    *,
    timeout: float,
    network: Network,
    extra: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    cap: int = 200_000,
) -> Finished:
    """Run a command of the description to its end."""
    launch = prepare_launch(workspace, place, template, network=network, extra=extra)
    return await run(
        launch.argv, cwd=launch.cwd, environment=launch.variables, timeout=timeout, sandbox=launch.sandbox,
        stdin=stdin, cap=cap,
    )  # fmt: skip


def placeholders(workspace: Workspace, place: Place) -> dict[str, str]:
    """The values of `{env}`, `{uv}` and the others, as far as the place has them."""
    known = {
        "env": str(place.env),
        "uv": find_uv(),
        "workdir": str(place.workdir),
        "case": str(workspace.config_folder.resolve()),
    }
    if place.data is not None:
        known |= {"data": str(place.data), "database_url": place.database_url}
    if place.port is not None:
        known["port"] = str(place.port)
    return known


def find_uv() -> str:
    """The `uv` that perfcrew brings along, else the one on the system."""
    import uv

    try:
        return uv.find_uv_bin()
    except FileNotFoundError:
        return shutil.which("uv") or "uv"


def variables(
    workspace: Workspace, place: Place, known: Mapping[str, str], sandbox: Sandbox | None = None
) -> dict[str, str]:
    """The environment of the target's processes: nothing of ours, then what the description sets."""
    path = [place.env / "bin", place.env / "packages" / "node_modules" / ".bin", *_program_folders()]
    values = {
        "PATH": ":".join([*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]),
        "HOME": str(place.scratch),
        "LANG": "C.UTF-8",
    }
    if place.port is not None:
        values["PORT"] = str(place.port)
    if (place.env / "pyvenv.cfg").exists():
        values["VIRTUAL_ENV"] = str(place.env)
    if sandbox is None or not sandbox.contained:
        values["TMPDIR"] = str(place.scratch)
    for name, text in workspace.target.target.environment.items():
        # The setup has neither port nor data: what is made of them is left out there.
        if not any(f"{{{absent}}}" in text for absent in {"port", "data", "database_url"} - known.keys()):
            values[name] = fill(shlex.quote(text), known)[0]
    modules = [str(place.workdir / folder) for folder in read_facts(place.env).get("sources", [])]
    if place.trace is not None:
        modules.insert(0, str(INJECT))
        values["PERFCREW_TRACE"] = str(place.trace)
        # Python finds its tracer on the path; Node is told, beside what the description tells it.
        values["NODE_OPTIONS"] = " ".join(filter(None, [f'--require "{NODE_TRACER}"', values.get("NODE_OPTIONS")]))
        if place.watch:
            values["PERFCREW_WATCH"] = place.watch
        if place.watch == "count":
            # Exact counts need sets and dictionaries that are laid out alike at every start.
            values.setdefault("PYTHONHASHSEED", "0")
    if modules:
        values["PYTHONPATH"] = ":".join([*modules, *filter(None, [values.get("PYTHONPATH")])])
    return values


def confine(workspace: Workspace, place: Place, *, network: Network, named: Collection[str] = ()) -> Sandbox:
    """The sandbox of a place: its own folders writable, interpreter and packages readable, the description masked.

    `{case}` and `{uv}` can be read by commands that name them, and by no other.
    """
    readable = [place.env, *runtime_folders(place.env)]
    if "case" in named:
        readable.append(workspace.config_folder.resolve())
    if "uv" in named:
        readable.append(Path(find_uv()))
    if place.trace is not None:
        readable.append(INJECT)
    own = [workspace.config_path.name] if workspace.config_path else []
    names = {"perfcrew.toml", *workspace.target.hidden, *own, *place.masked}
    return Sandbox(
        writable=tuple(path for path in (place.workdir, place.scratch, place.data, place.trace) if path is not None),
        readable=tuple(readable),
        network=network,
        masked=tuple(place.workdir / name for name in sorted(names)),
        confined=workspace.sandbox,
    )


def _program_folders() -> list[Path]:
    """Where python3 and node are, when that is none of the usual places."""
    node = shutil.which("node")
    folders = [Path(sys.base_prefix) / "bin", *([Path(node).resolve().parent] if node else [])]
    return [folder for folder in dict.fromkeys(folders) if not folder.is_relative_to("/usr")]


def runtime_folders(env: Path) -> tuple[Path, ...]:
    """What interpreters need of the disk, wherever they are installed: also below a home folder that is hidden else."""
    starts = [env / "bin" / "python", env / "bin" / "python3", env / "bin" / "node"]
    starts += [folder / name for folder in _program_folders() for name in ("python3", "node")]
    found: dict[Path, None] = {}
    for program in starts:
        for step in _links(program):
            # Of the prefix these folders only: a prefix may be ~/.local, with much beside them.
            prefix = step.parent.parent
            found |= dict.fromkeys(prefix / name for name in ("bin", "lib", "lib64", "include"))
    return tuple(path for path in found if path.is_dir() and not path.is_relative_to(env))


def _links(program: Path) -> Iterator[Path]:
    """A program and each step of the way that its symbolic links lead."""
    for _ in range(16):
        if not program.exists():
            return
        yield program
        yield program.resolve()
        if not program.is_symlink():
            return
        program = program.parent / program.readlink()


def read_facts(env: Path) -> dict[str, list[str]]:
    """What the setup found out about itself: `sources` to be imported from the checkout, `packages` to be linked."""
    try:
        facts: dict[str, list[str]] = json.loads((env.parent / "ready.json").read_text())["facts"]
    except OSError:
        return {}
    return facts


def link_packages(env: Path, workdir: Path) -> None:
    """Let a checkout find the packages that the setup installed beside the sources (`node_modules`)."""
    for name in read_facts(env).get("packages", []):
        link, folder = workdir / name, env / "packages" / name
        if link.is_symlink() and link.readlink() != folder:
            link.unlink()
        if not link.exists() and link.parent.is_dir():
            link.symlink_to(folder)


def network_for(workspace: Workspace, database_url: str) -> Network:
    """What a command can reach that serves nobody: applications' network only where it needs a server or service."""
    wanted = database_url.startswith(NETWORKED) or workspace.target.target.services
    return workspace.reach if wanted else "none"


def free_port(workspace: Workspace) -> int:
    """A free port on the loopback of applications that this process has not given to anyone yet."""
    if workspace.network is not None:
        return workspace.network.free_port()
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port
