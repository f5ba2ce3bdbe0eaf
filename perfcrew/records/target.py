"""The target as `perfcrew.toml` describes it. Reading the file is `tools.target`'s work."""

import re
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator, model_validator

from perfcrew.records.base import Record
from perfcrew.records.budget import BudgetChoice
from perfcrew.records.models import ModelChoice
from perfcrew.records.work import Criterion

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class HttpRequest(Record):
    """One request of a workload or a probe. `{name}` in path and body is filled from the workload's parameters."""

    method: Method = "GET"
    path: str = Field(pattern=r"^/")
    headers: dict[str, str] = Field(default_factory=dict)
    json_body: Any = Field(default=None, alias="json")
    expect: tuple[int, ...] = (200,)
    weight: int = Field(default=1, ge=1)
    model_config = ConfigDict(populate_by_name=True)


class HeldOut(Record):
    """Other parameters, and where given other requests, that the coder never sees."""

    request: tuple[HttpRequest, ...] = ()
    params: dict[str, tuple[str | int, ...]] = Field(default_factory=dict)
    command: str | None = None
    locustfile: str | None = None
    """For a locust workload: another locustfile of the repository, which neither coder nor application can read."""


class PageStep(Record):
    """One scripted interaction with a page, on the first element that a selector finds: a click, or typing."""

    click: str | None = None
    """CSS selector of what is clicked."""
    fill: str | None = None
    """CSS selector of a field that is clicked and typed into, key by key."""
    text: str = ""
    """What is typed."""

    @model_validator(mode="after")
    def _one_action(self) -> "PageStep":
        if (self.click is None) == (self.fill is None):
            raise ValueError("a step needs either `click` or `fill`, a CSS selector")
        if self.fill is not None and not self.text:
            raise ValueError("a step with `fill` needs `text`")
        return self


class Page(Record):
    """A page as a browser shows it, and what a user does there. `{name}` in the path is filled from the workload's
    parameters, with the first value of each.
    """

    path: str = Field(default="/", pattern=r"^/")
    width: int = Field(default=412, ge=200, le=4000)
    """Of the viewport, in CSS pixels; so is `height`."""
    height: int = Field(default=823, ge=200, le=4000)
    throttling: Literal["mobile", "desktop", "none"] = "mobile"
    """mobile: CPU 4 times slower and a slow 4G network; desktop: a fast wired network; none: as this machine is."""
    step: tuple[PageStep, ...] = ()


class Workload(Record):
    """What is asked of the application while it is measured."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    kind: Literal["http", "locust", "command", "page"] = "http"
    users: int = Field(default=4, ge=1, le=1000)
    think_s: float = Field(default=0.0, ge=0, le=60)
    rate: float | None = Field(default=None, gt=0, le=100_000)
    """Requests a second that arrive whether or not earlier ones were answered (open model); without it each user waits
    for an answer, thinks, and asks again (closed model)."""
    connections: int = Field(default=128, ge=1, le=1000)
    """With `rate`: most connections at once. A request that finds all of them busy waits, and its wait counts."""
    locustfile: str | None = None
    """For `kind = "locust"`: path in the repository of a locustfile that runs as it is. Its version in the base commit
    is what runs, whatever is measured."""
    spawn_rate: float | None = Field(default=None, gt=0, le=10_000)
    """With `locustfile`: users started a second; without it all at once."""
    request: tuple[HttpRequest, ...] = ()
    params: dict[str, tuple[str | int, ...]] = Field(default_factory=dict)
    command: str | None = None
    """For `kind = "command"`: run with the arm's placeholders; its wall time and CPU time are the samples."""
    page: Page | None = None
    """For `kind = "page"`: what a real browser loads, for web vitals."""
    held_out: HeldOut | None = None

    @model_validator(mode="after")
    def _complete(self) -> "Workload":
        if self.kind == "http" and not self.request:
            raise ValueError("an http workload needs at least one [[workload.request]]")
        if self.kind == "command" and not self.command:
            raise ValueError("a command workload needs `command`")
        if self.kind == "locust" and not self.locustfile:
            raise ValueError("a locust workload needs `locustfile`, a path in the repository")
        if self.kind == "page" and self.page is None:
            raise ValueError("a page workload needs [workload.page]")
        return self


class Probe(Record):
    """A sequence of requests that both versions must answer alike, in order, on equal data."""

    name: str
    request: tuple[HttpRequest, ...]
    params: dict[str, tuple[str | int, ...]] = Field(default_factory=dict)
    volatile: tuple[str, ...] = ()
    """JSON keys that may differ, such as `generated_at`."""
    held_out: bool = False


class HiddenCheck(Record):
    """A command of the user's that judges a running candidate; `{url}` is the candidate, `{base_url}` the base."""

    name: str
    command: str


class Database(Record):
    """The target's data and how an arm gets its own copy."""

    engine: Literal["sqlite", "postgresql", "mysql"]
    """`mysql` is MariaDB as well."""
    file: str = "app.db"
    """SQLite: file name inside the arm's data folder."""
    url: str | None = None
    """PostgreSQL, MySQL: a server on which perfcrew may create databases; without it perfcrew starts one of its own."""
    seed: str | None = None
    """Makes the pristine copy, once a run, from the base commit."""
    migrate: str | None = None
    """Brings an arm's copy to the arm's version of the schema."""
    rollback: str | None = None
    """Takes a copy back to the base's schema, to prove that it can be; it knows {version}, what the base's newest
    migration is numbered. Without it the tool's own way is derived from `migrate`."""


class Settings(Record):
    """How the target is built, started, probed, stopped and tested.

    Commands know the placeholders {env} {uv} {port} {workdir} {data} {database_url}.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    setup: tuple[str, ...] = ()
    setup_inputs: tuple[str, ...] = ()
    """Files that the setup depends on; its result is kept and used again while they are unchanged."""
    build: str | None = None
    """Makes what is started out of a version's sources, such as bundles; run once for each version, without network."""
    start: str
    ready: str = Field(default="/", pattern=r"^/")
    ready_timeout_s: float = Field(default=30.0, gt=0, le=600)
    stop: str | None = None
    """A command; without one the process group gets SIGTERM, then SIGKILL."""
    test: str | None = None
    test_timeout_s: float = Field(default=300.0, gt=0, le=7200)
    environment: dict[str, str] = Field(default_factory=dict)
    source: tuple[str, ...] = ("**/*",)
    """Globs of what agents may read; git-tracked files only."""
    services: tuple[str, ...] = ()
    """`HOST:PORT` of what applications and tests may reach beside their own loopback."""

    @field_validator("services")
    @classmethod
    def _are_addresses(cls, services: tuple[str, ...]) -> tuple[str, ...]:
        for service in services:
            host, _, port = service.rpartition(":")
            if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", host) or not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"expected HOST:PORT, such as 127.0.0.1:6379 or db.example.org:5432, got {service!r}")
        return services


class Target(Record):
    """A whole target description."""

    target: Settings
    database: Database | None = None
    workload: tuple[Workload, ...] = Field(min_length=1)
    probe: tuple[Probe, ...] = ()
    check: tuple[HiddenCheck, ...] = ()
    goal: tuple[Criterion, ...] = ()
    protected: tuple[str, ...] = ("tests/**", "test/**", "**/test_*.py", "**/conftest.py", "perfcrew.toml", ".git/**")
    """Globs that no change may touch; the setup inputs are always among them."""
    models: ModelChoice = ModelChoice()
    """Who answers for which role, and what is known of models."""
    budget: BudgetChoice = BudgetChoice()
    """What a run on this target, and single roles in it, may use up."""

    @property
    def reachable(self) -> tuple[tuple[str, int], ...]:
        """Host and port of the declared services, and of the user's own database server."""
        named = [service.rpartition(":") for service in self.target.services]
        found = [(host, int(port)) for host, _, port in named]
        server = urlsplit(self.database.url) if self.database and self.database.url else None
        if server is not None and server.hostname:
            found.append((server.hostname, server.port or (3306 if server.scheme == "mysql" else 5432)))
        return tuple(dict.fromkeys(found))

    @property
    def primary(self) -> Workload:
        """The first workload: the one that decides."""
        return self.workload[0]

    @property
    def beside(self) -> tuple[Workload, ...]:
        """The other workloads that can be loaded beside it; pages are visited by themselves."""
        return tuple(workload for workload in self.workload[1:] if workload.kind in ("http", "command"))

    @property
    def locustfiles(self) -> tuple[str, ...]:
        """Paths of the user's locustfiles: they measure, so no change may touch them."""
        return (*(workload.locustfile for workload in self.workload if workload.locustfile), *self.hidden)

    @property
    def hidden(self) -> tuple[str, ...]:
        """Files of the repository that nothing under measurement may read: held-out locustfiles."""
        held_out = (workload.held_out for workload in self.workload if workload.held_out)
        return tuple(each.locustfile for each in held_out if each.locustfile)
