"""Locust under perfcrew's hand: a process of its own that runs locustfiles in rounds and gives back raw samples.

Started by `tools.locust_load` as `python -I -m tools.locust_worker CONFIG SOCKET`. The locustfiles are loaded as
Locust's own command does it, init and test events included, so that a user's file runs as it is; a shape class in it
decides the number of users. With workers on other hosts this is the master. It reads one JSON object a line from the
socket, each a round, and answers with one line each; it ends when the socket is closed.

Users are started first; what they send until all of them run is marked `lead`. After the round's seconds they are asked
to stop, and what is under way is waited for, up to `drain_s`.
"""

import json
import secrets
import socket
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import locust
import locust.main
from locust.argument_parser import get_parser
from locust.runners import STATE_INIT, STATE_RUNNING, STATE_STOPPED

from tools.locust_samples import HELLO, MESSAGE

_STEP_S, _HAIL_S = 0.01, 0.5
_SPAWN_S, _REPORT_S = 120.0, 30.0


class Broken(Exception):
    """A round that can't be driven; the message says why."""


class Driver:
    """Locust's environment and runner, kept over many rounds.

    Args:
        config: files (paths, in order), workers (0: none but this process), bind and port of a master, and owner, the
            name of this measurement on its workers.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.workers, self.owner = int(config["workers"]), str(config["owner"])
        files = list(config["files"])
        users, shapes, tasks, shape = locust.main.merge_locustfiles_content(files)
        options = get_parser().parse_args([])
        self.environment = locust.main.create_environment(  # type: ignore[no-untyped-call]
            list(users.values()), options, events=locust.events, shape_class=shape, locustfile=Path(files[0]).name,
            parsed_locustfiles=files, available_user_classes=users, available_shape_classes=shapes,
            available_user_tasks=tasks,
        )  # fmt: skip
        if self.workers:
            self.runner = self.environment.create_master_runner(config["bind"], int(config["port"]))
        else:
            self.runner = self.environment.create_local_runner()
        self.runner.register_message(MESSAGE, self._receive)
        self.runner.register_message(HELLO, self._greet)
        self.parts: list[dict[str, Any]] = []
        self.job = ""
        self.own: set[str] = set()
        """Workers that have this measurement's files."""
        self.hailed = 0.0
        self.environment.events.init.fire(environment=self.environment, runner=self.runner, web_ui=None)

    def _receive(self, environment: Any, msg: Any, **_: Any) -> None:  # noqa: ARG002  Locust passes both by name
        # A worker that takes leave of an earlier master may still deliver what it noted for that one.
        if msg.data["job"] == self.job:
            self.parts.append(msg.data)

    def _greet(self, environment: Any, msg: Any, **_: Any) -> None:  # noqa: ARG002  Locust passes both by name
        if msg.data["owner"] == self.owner:
            self.own.add(msg.node_id)

    def drive(self, job: dict[str, Any]) -> dict[str, Any]:
        """Drive one round and give its raw samples."""
        self._await(self._ready, job["ready_s"], self._missing)
        self.parts, self.job = [], secrets.token_hex(8)
        self.environment.host = job["url"]
        self.environment.stop_timeout = job["drain_s"]
        self.environment.parsed_options.perfcrew_job = {**job, "id": self.job, "workers": self.workers}
        began = time.perf_counter()
        if self.environment.shape_class is not None:
            self.runner.start_shape()
        else:
            self.runner.start(job["users"], job["spawn_rate"] or job["users"])
        self._await(lambda: self.runner.state == STATE_RUNNING, _SPAWN_S, lambda: "its users did not start")
        ramp = time.perf_counter() - began
        gevent.sleep(job["seconds"])
        self.runner.stop()
        totals = self._await(self._reported, job["drain_s"] + _REPORT_S, lambda: "workers did not send their samples")
        assert totals
        return {**_merge(self.parts, job, ramp), "began_s": began + ramp}

    def _ready(self) -> bool:
        if self.workers:
            there = {client.id for client in self.runner.clients.ready}
            if there - self.own and time.perf_counter() > self.hailed + _HAIL_S:
                self.hailed = time.perf_counter()
                self.runner.send_message(HELLO, {"owner": self.owner})
            return self.workers <= len(there) and there <= self.own
        return self.runner.state in (STATE_INIT, STATE_STOPPED)

    def _missing(self) -> str:
        there = len(self.runner.clients.ready) if self.workers else 0
        return (
            f"{there} of {self.workers} load workers are connected; start the others on their hosts: "
            "perfcrew load-worker HOST[:PORT] (or locust -f - --worker --master-host HOST)"
        )

    def _reported(self) -> bool:
        return sum("totals" in part for part in self.parts) >= max(self.workers, 1)

    def _await(self, holds: Any, limit_s: float, why: Any) -> bool:
        """Let Locust go on until something holds."""
        end = time.perf_counter() + limit_s
        while not holds():
            if time.perf_counter() > end:
                raise Broken(why())
            gevent.sleep(_STEP_S)
        return True


def _merge(parts: list[dict[str, Any]], job: dict[str, Any], ramp: float) -> dict[str, Any]:
    """The samples of all workers as one round; each worker numbers the names that it saw by itself."""
    totals = [part["totals"] for part in parts if "totals" in part]
    rows, names = _rows(parts, ramp)
    last = max((row[0] + row[1] / 1000 for row in rows), default=0.0)
    known = [each["arrivals"] for each in totals if each["arrivals"] is not None]
    opened = [each["connections"] for each in totals if each["connections"] is not None]
    failures: Counter[str] = Counter()
    for each in totals:
        failures.update(each["failures"])
    return {
        "requests": rows, "seconds": max(last, job["seconds"]), "cut": max(sum(known) - len(rows), 0) if known else 0,
        "failures": dict(failures), "client_cpu_s": max(each["client_cpu_s"] for each in totals),
        "connections": sum(opened) if opened else None, "sent_bytes": None,
        "received_bytes": sum(each["received_bytes"] for each in totals),
        "lags_ms": [lag for each in totals for lag in each["lags_ms"]], "arrivals": sum(known) if known else len(rows),
        "stopped": False, "rate": job["rate"], "names": names, "workers": len(totals), "ramp_s": ramp,
    }  # fmt: skip


def _rows(parts: list[dict[str, Any]], ramp: float) -> tuple[list[list[Any]], list[str]]:
    """Rows in the order of their start, counted from the moment at which all users ran."""
    names: dict[str, int] = {}
    rows: list[list[Any]] = []
    for part in parts:
        own = part["names"]
        for row in part["requests"]:
            index = names.setdefault(own[row[4]], len(names)) if own else row[4]
            rows.append([round(row[0] - ramp, 6), *row[1:4], index, row[5], row[0] < ramp, *row[7:]])
    return sorted(rows), list(names)


def main() -> None:
    """Serve rounds until the socket closes."""
    config, path = sys.argv[1:3]
    # A locustfile that reads the command line finds none.
    sys.argv[1:] = []
    driver = Driver(json.loads(config))
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    stream = connection.makefile("rwb")
    for line in stream:
        try:
            answer = driver.drive(json.loads(line))
        except Broken as error:
            answer = {"error": str(error)}
        stream.write(json.dumps(answer).encode() + b"\n")
        stream.flush()
    driver.runner.quit()


if __name__ == "__main__":
    main()
