"""Two arms on equal data that are asked the same, in the same order, and what they answer differently."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

import httpx

from perfcrew.records.evidence import Check
from tools.answers import ANOTHER_ORDER, Difference, Seen, compare_answers
from tools.burst import send_at_once
from tools.requests import Asked, decode, send

AT_ONCE = 8
EXCUSES = 3
"""How often the base is asked whether it too answers otherwise."""
MAX_DETAIL = 4
"""Differences told in a check's detail; the raw file holds all."""


@dataclass
class Comparison:
    """What a sequence of requests showed."""

    name: str
    requests: int = 0
    differences: list[tuple[Asked, Difference]] = field(default_factory=list)
    unstable: list[tuple[Asked, Difference]] = field(default_factory=list)
    """Places that the base answers differently from call to call, so that nothing can be said: two of its answers."""
    racing: list[tuple[Asked, Difference]] = field(default_factory=list)
    """Places that it answers differently only where requests meet: a race of its own. Two of its answers."""
    fleeting: list[tuple[Asked, Difference]] = field(default_factory=list)
    """What differed in one race and in no later one, while the base gave the same each time."""
    held_out: bool = False
    """The coder must not see what was asked."""
    last: Seen | None = None
    """The base's answer to the last request."""
    answers: dict[str, Seen] = field(default_factory=dict)
    """The base's answers to requests that were answered differently, by name."""

    def as_check(self) -> Check:
        """Passed if nothing differed."""
        return self._judge().model_copy(update={"held_out": self.held_out})

    def _judge(self) -> Check:
        if not self.differences:
            detail = "; ".join([f"{self.requests} requests answered alike", *self._reservations()])
            return Check(name=self.name, passed=True, detail=detail)
        shown = [f"{asked.name}: {difference}" for asked, difference in self.differences[:MAX_DETAIL]]
        more = len(self.differences) - len(shown)
        detail = "; ".join(shown) + (f"; and {more} more" if more else "")
        return Check(name=self.name, passed=False, detail=detail)

    def _reservations(self) -> Iterator[str]:
        """The first of each kind that nothing is concluded from."""
        for asked, place in self.unstable[:1]:
            yield f"{asked.name} {place.where} differs in the base from call to call (list it as volatile)"
        for asked, place in self.racing[:1]:
            yield (
                f"the base itself races at {asked.name} {place.where}: {place.base} one time, "
                f"{place.candidate} another, so that this is not held against the candidate"
            )
        for asked, place in self.fleeting[:1]:
            yield f"{asked.name} {place} once, and not when tried again"

    def as_json(self) -> dict[str, Any]:
        """For the raw file."""
        return {
            "name": self.name,
            "requests": self.requests,
            "differences": [_line(asked, difference) for asked, difference in self.differences],
            "unstable": [_own_line(asked, difference) for asked, difference in self.unstable],
            "racing": [_own_line(asked, difference) for asked, difference in self.racing],
            "fleeting": [_line(asked, difference) for asked, difference in self.fleeting],
        }


def _line(asked: Asked, difference: Difference) -> dict[str, str]:
    return {
        "request": asked.name,
        "where": difference.where,
        "base": difference.base,
        "candidate": difference.candidate,
    }


def _own_line(asked: Asked, difference: Difference) -> dict[str, str | list[str]]:
    return {
        "request": asked.name,
        "where": difference.where,
        "base": [difference.base, difference.candidate],
    }


class Pair:
    """Clients of both arms."""

    def __init__(self, base: httpx.AsyncClient, candidate: httpx.AsyncClient) -> None:
        self._clients = (base, candidate)
        self._own = (urlsplit(str(base.base_url)).netloc, urlsplit(str(candidate.base_url)).netloc)

    async def ask(self, asked: Asked) -> tuple[Seen, Seen]:
        """Both answers to one request. Both arms get it, whatever the other does."""
        base, candidate = await asyncio.gather(*(_ask(client, asked) for client in self._clients))
        return base, candidate

    def forget_cookies(self) -> None:
        """Begin as a new visitor."""
        for client in self._clients:
            client.cookies.clear()

    async def compare(
        self,
        name: str,
        sequences: Sequence[Sequence[Asked]],
        volatile: Collection[str] = (),
        *,
        odd: bool = False,
    ) -> Comparison:
        """Ask sequences in order, each as a new visitor, and note every difference.

        Args:
            name: of the check.
            sequences: requests in order.
            volatile: JSON keys and form fields that may differ.
            odd: the requests are malformed on purpose: where the base breaks down (5xx, no answer), any error will do.
        """
        found = Comparison(name)
        for sequence in sequences:
            self.forget_cookies()
            for asked in sequence:
                await self._compare_one(asked, volatile, found, odd=odd)
        return found

    async def excuse(self, found: Comparison, volatile: Collection[str] = ()) -> Comparison:
        """Ask the base once more for what differed: a place where it now answers otherwise itself tells nothing.

        Requests that write can't be asked again; what they showed stays.
        """
        kept: list[tuple[Asked, Difference]] = []
        racing: list[tuple[Asked, Difference]] = []
        for asked, difference in found.differences:
            before = found.answers.get(asked.name)
            moved: dict[str, Difference] = {}
            if asked.method in ("GET", "HEAD") and before is not None:
                for _ in range(EXCUSES):
                    now, _candidate = await self.ask(asked)
                    moved |= {each.where: each for each in compare_answers(before, now, volatile=volatile)}
            if difference.where in moved:
                racing.append((asked, moved[difference.where]))
            else:
                kept.append((asked, difference))
        return replace(found, differences=kept, racing=[*found.racing, *racing])

    async def compare_in_turn(
        self, name: str, visitors: Sequence[Sequence[Asked]], volatile: Collection[str] = ()
    ) -> Comparison:
        """Ask several visitors' sequences step by step in turn, each with cookies of its own."""
        found = Comparison(name)
        jars = [[httpx.Cookies(), httpx.Cookies()] for _ in visitors]
        for step in itertools.zip_longest(*visitors):
            for jar, asked in zip(jars, step, strict=True):
                for client, cookies in zip(self._clients, jar, strict=True):
                    client.cookies = cookies
                if asked is not None:
                    await self._compare_one(asked, volatile, found)
                jar[:] = [httpx.Cookies(client.cookies) for client in self._clients]
        self.forget_cookies()
        return found

    async def _compare_one(
        self, asked: Asked, volatile: Collection[str], found: Comparison, *, odd: bool = False
    ) -> None:
        base, candidate = await self.ask(asked)
        found.requests += 1
        found.last = base
        if odd and _broke_down(base) and (_broke_down(candidate) or candidate.status >= 400):
            return
        differences = self._differences(base, candidate, volatile)
        if differences and asked.method in ("GET", "HEAD"):
            # Asked again of both, so that their states stay equal.
            again, _ = await self.ask(asked)
            moved = compare_answers(base, again, volatile=volatile)
            # What has no order of its own is compared as a set, so that what it holds still counts.
            loose = {difference.where for difference in moved if difference.candidate == ANOTHER_ORDER}
            places = {difference.where: difference for difference in moved if difference.where not in loose}
            differences = self._differences(base, candidate, volatile, loose)
            found.unstable += [(asked, places[item.where]) for item in differences if item.where in places]
            differences = [item for item in differences if item.where not in places]
        found.differences += [(asked, item) for item in differences]
        if differences:
            found.answers[asked.name] = base

    async def compare_at_once(
        self, name: str, bursts: Sequence[Sequence[Asked]], volatile: Collection[str] = (), *, last: bool = False
    ) -> Comparison:
        """Ask reading requests several at a time; what they should give is what the base gave one by one.

        Args:
            name: of the check.
            bursts: the requests, those together that are asked at a time.
            volatile: JSON keys and form fields that may differ.
            last: nothing is asked of this pair afterwards, so that the states need not stay equal: the base is asked
                several at a time only where the candidate answered otherwise.
        """
        self.forget_cookies()
        found = Comparison(name)
        alone = {_key(item): item for burst in bursts for item in burst}
        known = {key: (await self.ask(item))[0] for key, item in alone.items()}
        base, candidate = self._clients
        for burst in bursts:
            found.requests += len(burst)
            expected = [known[_key(item)] for item in burst]
            answers = await _ask_at_once(candidate, burst)
            differences = [self._differences(*each, volatile) for each in zip(expected, answers, strict=True)]
            if last and not any(differences):
                continue
            again = await _ask_at_once(base, burst)
            for item, before, after, each in zip(burst, expected, again, differences, strict=True):
                moved = {place.where: place for place in compare_answers(before, after, volatile=volatile)}
                found.differences += [(item, place) for place in each if place.where not in moved]
                if own := [moved[place.where] for place in each if place.where in moved]:
                    # Alone once more: what moves without company as well is no race.
                    lone = compare_answers(before, (await self.ask(item))[0], volatile=volatile)
                    without = {place.where for place in lone}
                    for place in own:
                        (found.unstable if place.where in without else found.racing).append((item, place))
        return found

    async def write_at_once(self, writes: Sequence[Asked]) -> tuple[str, str]:
        """Send writes all at once to each arm in turn; how often each arm gave which status.

        Which of them comes first is chance, so what counts is how many were taken and how many refused.
        """
        told: list[str] = []
        for client in self._clients:
            place = client.base_url
            seen = await send_at_once(place.host, place.port or 80, writes)
            told.append(_count_statuses(writes, seen))
        return told[0], told[1]

    def _differences(
        self, base: Seen, candidate: Seen, volatile: Collection[str], unordered: Collection[str] = ()
    ) -> list[Difference]:
        return compare_answers(base, candidate, volatile=volatile, own=self._own, unordered=unordered)


def _count_statuses(writes: Sequence[Asked], statuses: Sequence[int]) -> str:
    """`3 × 201, 5 × 409`; where the writes go to different places, each with its own."""
    single = len({asked.name for asked in writes}) == 1
    pairs = zip(writes, statuses, strict=True)
    counts = Counter(str(status) if single else f"{asked.name}: {status}" for asked, status in pairs)
    return ", ".join(f"{count} × {what}" for what, count in sorted(counts.items()))


def _broke_down(seen: Seen) -> bool:
    return seen.status == 0 or seen.status >= 500


def _key(asked: Asked) -> tuple[object, ...]:
    return asked.name, *sorted(asked.headers.items())


async def _ask_at_once(client: httpx.AsyncClient, requests: Sequence[Asked]) -> list[Seen]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def ask(item: Asked) -> Seen:
        async with gate:
            return await _ask(client, item)

    return list(await asyncio.gather(*map(ask, requests)))


async def _ask(client: httpx.AsyncClient, asked: Asked) -> Seen:
    try:
        answer = await send(client, asked)
        body = decode(answer)
    except httpx.HTTPError as error:
        # No answer is an answer too: the other arm may have given one. 0 is no HTTP status.
        return Seen(0, {}, type(error).__name__.encode())
    return Seen(answer.status, {name.lower(): value for name, value in answer.headers.items()}, body)
