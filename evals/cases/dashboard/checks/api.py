"""What the checks share: asking both versions, and saying in one line where two answers differ.

Standard library only, so that any Python can run the checks.
"""

import argparse
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

IGNORED = frozenset({"generated_at"})


class Failure(Exception):
    """The candidate is wrong; the message says where."""


class Arm:
    """One running version."""

    def __init__(self, name: str, url: str) -> None:
        self.name = name
        self.url = url.rstrip("/")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status and decoded answer: JSON where it is JSON, text otherwise."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, _decode(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decode(error)

    def get(self, path: str) -> Any:
        """The answer of a GET that must succeed."""
        status, answer = self.ask("GET", path)
        if status != 200:
            raise Failure(f"{self.name}: GET {path} gave status {status}")
        return answer


def _decode(response: Any) -> Any:
    raw = response.read()
    if "json" in (response.headers.get("Content-Type") or "").partition(";")[0].split("/")[-1].split("+"):
        return json.loads(raw)
    return raw.decode("utf-8", "replace")


class Pair:
    """Base and candidate."""

    def __init__(self, base: Arm, candidate: Arm) -> None:
        self.base = base
        self.candidate = candidate

    def both(self, method: str, path: str, body: Any = None) -> tuple[tuple[int, Any], tuple[int, Any]]:
        """Ask both at the same time; (status, answer) of base and candidate."""
        with ThreadPoolExecutor(2) as pool:
            asked = [pool.submit(arm.ask, method, path, body) for arm in (self.base, self.candidate)]
            return asked[0].result(), asked[1].result()

    def same(self, method: str, path: str, body: Any = None, when: str = "") -> Any:
        """Ask both, insist on equal answers, and return the candidate's."""
        (base_status, base), (status, answer) = self.both(method, path, body)
        suffix = f" {when}" if when else ""
        if base_status != status:
            raise Failure(f"{method} {path}{suffix}: status {base_status} became {status}")
        difference = find_difference(base, answer)
        if difference:
            raise Failure(f"{method} {path}{suffix}: {difference}")
        return answer


def find_difference(base: Any, candidate: Any, pointer: str = "") -> str | None:
    """The first place where two answers differ, as a JSON pointer with both values."""
    if type(base) is not type(candidate):
        return f"{pointer or '/'}: {_short(base)} became {_short(candidate)}"
    if isinstance(base, dict):
        for key in [*base, *(key for key in candidate if key not in base)]:
            if key in IGNORED:
                continue
            if (key in base) != (key in candidate):
                return f"{pointer}/{key}: {'missing' if key in base else 'new'}"
            difference = find_difference(base[key], candidate[key], f"{pointer}/{key}")
            if difference:
                return difference
        return None
    if isinstance(base, list):
        for index, (left, right) in enumerate(zip(base, candidate, strict=False)):
            difference = find_difference(left, right, f"{pointer}/{index}")
            if difference:
                return difference
        return None if len(base) == len(candidate) else f"{pointer}: {len(base)} entries became {len(candidate)}"
    return None if base == candidate else f"{pointer or '/'}: {_short(base)} became {_short(candidate)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def run_check(check: Callable[[Pair], str]) -> None:
    """Command line of a check: exit code 0 and what held, or 1 and the first thing that did not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True, help="the candidate")
    parser.add_argument("--base-url", required=True, help="the base, on equal data")
    options = parser.parse_args()
    pair = Pair(Arm("base", options.base_url), Arm("candidate", options.url))
    try:
        print(check(pair))
    except Failure as failure:
        print(failure)
        sys.exit(1)
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        # An answer of another shape than the base's is a failure of the candidate, told in one line.
        print(f"unexpected answer: {type(error).__name__}: {error}")
        sys.exit(1)


def dashboard(user: int) -> str:
    """Path of a user's dashboard."""
    return f"/api/dashboard?user_id={user}"


def tile(payload: dict[str, Any], kind: str) -> Any:
    """Data of a dashboard's first tile of a kind."""
    return next(widget["data"] for widget in payload["widgets"] if widget["kind"] == kind)


def whole_feed(arm: Arm, user: int, kind: str = "") -> list[dict[str, Any]]:
    """All entries of a user, page by page, as the arm orders them."""
    items: list[dict[str, Any]] = []
    page = 1
    while True:
        path = f"/api/activity?user_id={user}&per_page=100&page={page}" + (f"&kind={kind}" if kind else "")
        answer = arm.get(path)
        items += answer["items"]
        if page >= answer["pages"]:
            return items
        page += 1
