"""Lets perfcrew ask a process of the target for something, by files: it may run in a sandbox with other process ids.

A question is `ask-N.json` in the trace's folder, `{"do": name}`. Each process that serves answers it in
`answer-N-PID.json`. `alive-PID` tells who will answer; its time of change shows that the process still runs.
"""

# pathlib would be one more module that the target did not ask for.
# ruff: noqa: PTH105, PTH118, PTH123

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

_POLL_S = 0.05

Answers = dict[str, Callable[[], dict[str, Any]]]


def serve(folder: str, answers: Answers) -> None:
    """Answer questions in this process, and in those that it forks."""

    def begin() -> None:
        threading.Thread(target=_keep_answering, args=(folder, answers), name="perfcrew-control", daemon=True).start()

    begin()
    if hasattr(os, "register_at_fork"):
        # Threads don't survive a fork.
        os.register_at_fork(after_in_child=begin)


def _keep_answering(folder: str, answers: Answers) -> None:
    number = 1
    pid = os.getpid()
    # Questions that were asked before this process began are none of its.
    while os.path.exists(os.path.join(folder, f"ask-{number}.json")):  # noqa: PTH110
        number += 1
    while True:
        _put(folder, f"alive-{pid}", "")
        try:
            with open(os.path.join(folder, f"ask-{number}.json"), encoding="utf-8") as file:
                asked = json.load(file)
        except (OSError, ValueError):
            time.sleep(_POLL_S)
            continue
        try:
            answer = answers[asked["do"]]()
        except Exception as error:  # noqa: BLE001  the question is answered whatever became of it
            answer = {"error": repr(error)}
        _put(folder, f"answer-{number}-{pid}.json", json.dumps(answer))
        number += 1


def _put(folder: str, name: str, text: str) -> None:
    partial = os.path.join(folder, f"{name}.{os.getpid()}.partial")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, os.path.join(folder, name))
    except OSError:
        # The folder is gone: the measurement is over.
        time.sleep(1.0)
