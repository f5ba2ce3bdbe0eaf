"""Collapsed stacks reduced to what a reader needs. Pure functions of py-spy's `raw` format, in which Node's come too.

A line is `frame;frame;… count`, a frame `function (file:line)`. The *innermost own frame* of a stack is the deepest one
in the target's code: its share, without what runs in database libraries below it, says where the target works itself.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

_FRAME = re.compile(r"^(?P<name>.+) \((?P<file>.+?)(?::(?P<line>\d+))?\)$")
_FOREIGN = re.compile(r"^.*(?:/(?:site|dist)-packages|/lib/python3(?:\.\d+)?|/node_modules)/(?P<rest>.+)$")
_ANONYMOUS = re.compile(r"(?:(?:\.<locals>)?(?:^|\.)<(?:listcomp|dictcomp|setcomp|genexpr|lambda)>)+$")
_NOT_OWN = ("site-packages", "dist-packages", ".venv", "venv", "node_modules")
DATABASE = ("sqlalchemy", "psycopg", "psycopg2", "psycopg_pool", "sqlite3", "aiosqlite", "asyncpg", "pymysql",
            "pg", "pg-pool", "mysql2", "better-sqlite3", "knex", "sequelize", "typeorm")  # fmt: skip
_DATABASE_PATHS = ("django/db/",)
_SERIAL = (
    ("json/", None), ("simplejson/", None), ("fastapi/encoders.py", None), ("fastapi/routing.py", "serialize_response"),
    ("pydantic/main.py", "model_dump"), ("pydantic/main.py", "model_dump_json"),
    ("pydantic/type_adapter.py", "dump_json"),
    ("starlette/responses.py", "render"), ("flask/json/", None), ("marshmallow/", None),
    ("rest_framework/serializers.py", None),
    ("pydantic/_internal/_serializers.py", None), ("express/lib/response.js", ("json", "res.json", "stringify")),
)  # fmt: skip
_LOOPS = (
    ("asyncio/base_events.py", None), ("asyncio/events.py", None), ("asyncio/runners.py", None), ("uvloop/", None),
    ("threading.py", ("_bootstrap", "_bootstrap_inner", "run")), ("concurrent/futures/thread.py", None),
    ("socketserver.py", None), ("werkzeug/serving.py", None), ("gunicorn/", None), ("wsgiref/", None),
    ("anyio/_backends/_asyncio.py", ("run",)), ("waitress/", None), ("http/server.py", None),
)  # fmt: skip
_EVENT_LOOPS = ("asyncio/base_events.py", "uvloop/")
_WAITS = (
    ("selectors.py", "select"), ("threading.py", "wait"), ("threading.py", "_wait_for_tstate_lock"),
    ("queue.py", "get"),
    ("socket.py", "accept"), ("asyncio/base_events.py", "_run_once"), ("concurrent/futures/thread.py", "_worker"),
    ("selectors.py", "_poll"), ("subprocess.py", "_try_wait"), ("ssl.py", "read"), ("socket.py", "readinto"),
)  # fmt: skip
_POOLS = ("sqlalchemy/pool/", "psycopg_pool/")


@dataclass(frozen=True)
class Frame:
    """One function of a stack. `path` is relative to the target if `own`, else to the folder of libraries."""

    name: str
    path: str
    line: int
    own: bool

    @property
    def place(self) -> str:
        """`path function`: the function, whatever its line."""
        return f"{self.path} {self.name}"


@dataclass
class Hot:
    """A function and its samples."""

    path: str
    name: str
    samples: int = 0
    inner: int = 0
    """Samples in which it is the innermost own frame and no database library runs below it."""
    database: int = 0
    """Samples in which it is the innermost own frame, inside a database library."""
    lines: Counter[int] = field(default_factory=Counter)
    outer: Counter[int] = field(default_factory=Counter)
    """Lines that call on, where it is not the innermost."""

    @property
    def line(self) -> int:
        """Its busiest line."""
        return (self.lines or self.outer).most_common(1)[0][0]

    @property
    def place(self) -> str:
        """`path:line function`."""
        return f"{self.path}:{self.line} {self.name}"


@dataclass
class Profile:
    """A recording, summed up. All counts are samples."""

    total: int = 0
    self_time: Counter[str] = field(default_factory=Counter)
    own: dict[str, Hot] = field(default_factory=dict)
    packages: Counter[str] = field(default_factory=Counter)
    """By the package of the deepest frame; `target` for the target's own."""
    serialising: Counter[str] = field(default_factory=Counter)
    """By the own function nearest to it, or the framework's that does it."""
    without_own: int = 0
    pool_wait: int = 0
    loop: Counter[str] = field(default_factory=Counter)
    """Own functions that run in an event loop's thread outside database libraries: no other request moves meanwhile."""
    loop_database: int = 0
    """Samples of database libraries in an event loop's thread."""
    loop_total: int = 0
    """Samples of event loops' threads, idle ones included."""
    hottest: tuple[str, int] = ("", 0)
    endpoints: Counter[str] = field(default_factory=Counter)
    """By the route whose handler is on the stack, the outermost if there are several."""
    lines: dict[tuple[str, int, str], list[int]] = field(default_factory=dict)
    """The target's lines, as path, line and function: samples with it innermost of the target's, and with it at all."""


def parse_stacks(text: str, root: str) -> list[tuple[list[Frame], int]]:
    """Stacks, outermost frame first, with their sample counts. `root` is the target's folder."""
    stacks = []
    for line in text.splitlines():
        head, _, count = line.rpartition(" ")
        if not count.isdigit():
            continue
        frames: list[Frame] = []
        for part in head.split(";"):
            frame = _parse_frame(part, root)
            if frame is not None:
                frames.append(_named(frame, frames[-1] if frames else None))
        if frames:
            stacks.append((frames, int(count)))
    return stacks


def _parse_frame(text: str, root: str) -> Frame | None:
    match = _FRAME.match(text)
    if match is None or text.startswith(("process ", "thread (")):
        return None
    file, line = match["file"], int(match["line"] or 0)
    inside = file.removeprefix(root.rstrip("/") + "/")
    if inside != file and not any(part in _NOT_OWN for part in inside.split("/")):
        return Frame(match["name"], inside, line, True)
    foreign = _FOREIGN.search(file)
    return Frame(match["name"], foreign["rest"] if foreign else file, line, False)


def _named(frame: Frame, caller: Frame | None) -> Frame:
    """A comprehension or lambda counts as the function that it stands in; an inner function goes by its own name."""
    name = _ANONYMOUS.sub("", frame.name).rpartition(".<locals>.")[2]
    if name == frame.name:
        return frame
    if not name and caller is not None and caller.path == frame.path:
        name = caller.name
    return Frame(name or frame.name, frame.path, frame.line, frame.own)


def _is(frame: Frame, table: Iterable[tuple[str, str | Sequence[str] | None]]) -> bool:
    if frame.own:
        return False
    # From Python 3.11 on names are qualified: `Condition.wait`.
    name = frame.name.rpartition(".")[2]
    for path, names in table:
        known = names is None or name == names or (not isinstance(names, str) and name in names)
        if frame.path.startswith(path) and known:
            return True
    return False


def request_part(frames: Sequence[Frame]) -> list[Frame]:
    """What lies inside the innermost server or event loop: the work of a request, or nothing."""
    last = max((at for at, frame in enumerate(frames) if _is(frame, _LOOPS)), default=-1)
    return list(frames[last + 1 :])


def is_idle(frames: Sequence[Frame]) -> bool:
    """Whether a stack waits for work. A wait with the target's own code around it is a request that waits."""
    part = request_part(frames)
    if any(frame.own for frame in part):
        return False
    return not part or all(_is(frame, _WAITS) for frame in part) or _is(frames[-1], _WAITS)


def in_database(frames: Iterable[Frame]) -> bool:
    """Whether a database library is among the frames."""
    return any(
        not frame.own and (frame.path.split("/")[0] in DATABASE or frame.path.startswith(_DATABASE_PATHS))
        for frame in frames
    )


Handlers = Mapping[str, Sequence[tuple[int, int, str]]]
"""Path to (first line, last line, endpoint) of the functions that handle routes."""


def sum_stacks(stacks: Iterable[tuple[Sequence[Frame], int]], handlers: Handlers | None = None) -> Profile:
    """Sum up a recording; idle stacks only count towards `loop_total`."""
    profile = Profile()
    hottest: Counter[str] = Counter()
    for frames, count in stacks:
        on_loop = any(not frame.own and frame.path.startswith(_EVENT_LOOPS) for frame in frames)
        profile.loop_total += count if on_loop else 0
        if is_idle(frames):
            continue
        profile.total += count
        leaf = frames[-1]
        profile.self_time[f"{leaf.path}:{leaf.name}"] += count
        profile.packages["target" if leaf.own else leaf.path.split("/")[0].removesuffix(".py")] += count
        _sum_own(profile, frames, count, on_loop)
        _sum_lines(profile, frames, count)
        endpoint = _endpoint(frames, handlers or {})
        if endpoint:
            profile.endpoints[endpoint] += count
        hottest[" > ".join(_short(frames))] += count
    profile.hottest = hottest.most_common(1)[0] if hottest else ("", 0)
    return profile


def _endpoint(frames: Sequence[Frame], handlers: Handlers) -> str:
    for frame in frames:
        for first, last, endpoint in handlers.get(frame.path, ()) if frame.own else ():
            if first <= frame.line <= last:
                return endpoint
    return ""


def _sum_lines(profile: Profile, frames: Sequence[Frame], count: int) -> None:
    own = [(frame.path, frame.line, frame.name) for frame in request_part(frames) if frame.own]
    for place in dict.fromkeys(own):
        profile.lines.setdefault(place, [0, 0])[1] += count
    if own:
        profile.lines[own[-1]][0] += count


def _sum_own(profile: Profile, frames: Sequence[Frame], count: int, on_loop: bool) -> None:
    part = request_part(frames)
    own = {frame.place: frame for frame in part if frame.own}
    for place, frame in own.items():
        hot = profile.own.setdefault(place, Hot(frame.path, frame.name))
        hot.samples += count
        hot.outer[frame.line] += count
    serialising = [frame for frame in part if _is(frame, _SERIAL)]
    innermost = max((at for at, frame in enumerate(part) if frame.own), default=None)
    if innermost is None:
        profile.without_own += count
        if serialising:
            profile.serialising[serialising[0].place] += count
        return
    hot = profile.own[part[innermost].place]
    hot.lines[part[innermost].line] += count
    below = part[innermost + 1 :]
    inside = in_database(below)
    if inside:
        hot.database += count
        profile.loop_database += count if on_loop else 0
    else:
        hot.inner += count
    if any(_is(frame, _SERIAL) for frame in below):
        profile.serialising[hot.place.split(":")[0] + " " + hot.name] += count
    if _is(frames[-1], _WAITS) and any(frame.path.startswith(_POOLS) for frame in below):
        profile.pool_wait += count
    if on_loop and not inside:
        profile.loop[part[innermost].place] += count


def _short(frames: Sequence[Frame]) -> list[str]:
    """A stack as its own frames and its last three."""
    part = request_part(frames)
    shown: list[str] = []
    for at, frame in enumerate(part):
        if frame.own or at >= len(part) - 3:
            shown.append(f"{frame.name} ({frame.path}:{frame.line})" if frame.own else f"{frame.name} ({frame.path})")
        elif shown and shown[-1] != "…":
            shown.append("…")
    return shown[-14:]
