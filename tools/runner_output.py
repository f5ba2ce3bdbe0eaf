"""What the closing lines of test runners say: pytest, unittest, Node's own, mocha, jest, vitest, go."""

import re
from collections.abc import Callable

from perfcrew.records.base import Record

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Counts(Record):
    """How many tests passed, failed and were skipped; None where the output does not tell."""

    passed: int | None = None
    failed: int | None = None
    skipped: int | None = None
    failing: tuple[str, ...] = ()


def read_counts(output: str) -> Counts:
    """The counts of the runner whose closing lines are in the output."""
    text = _COLOUR.sub("", output).replace("\r\n", "\n")
    for reader in _READERS:
        if (counts := reader(text)) is not None:
            return counts
    return Counts()


def _names(pattern: str, text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(match.strip() for match in re.findall(pattern, text, re.MULTILINE)))


def _number(pattern: str, text: str) -> int | None:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else None


def _read_pytest(text: str) -> Counts | None:
    lines = re.findall(r"^(?:=+ )?((?:no tests ran|\d+ [a-z]+)(?:, \d+ [a-z]+)*) in [\d.:]+m?s.*$", text, re.MULTILINE)
    if not lines:
        return None
    found: dict[str, int] = {}
    for number, kind in re.findall(r"(\d+) ([a-z]+)", lines[-1]):
        found[kind.removesuffix("s") if kind.startswith("error") else kind] = int(number)
    return Counts(
        passed=found.get("passed", 0) + found.get("xpassed", 0),
        failed=found.get("failed", 0) + found.get("error", 0),
        skipped=found.get("skipped", 0) + found.get("xfailed", 0),
        failing=_names(r"^(?:FAILED|ERROR) (\S+(?:::.*?)?)(?: - .*)?$", text),
    )


def _read_unittest(text: str) -> Counts | None:
    ran = _number(r"^Ran (\d+) tests? in [\d.]+s$", text)
    if ran is None:
        return None
    closing = re.findall(r"^(?:OK|FAILED|NO TESTS RAN)(?: \(.*\))?$", text, re.MULTILINE)
    found = dict(re.findall(r"([a-z ]+)=(\d+)", closing[-1])) if closing else {}
    numbers = {kind.strip(): int(number) for kind, number in found.items()}
    failed = numbers.get("failures", 0) + numbers.get("errors", 0) + numbers.get("unexpected successes", 0)
    skipped = numbers.get("skipped", 0) + numbers.get("expected failures", 0)
    return Counts(
        passed=max(ran - failed - skipped, 0),
        failed=failed,
        skipped=skipped,
        failing=_names(r"^(?:FAIL|ERROR): (.+)$", text),
    )


def _read_node(text: str) -> Counts | None:
    if _number(r"^(?:#|ℹ) tests (\d+)$", text) is None:
        return None
    return Counts(
        passed=_number(r"^(?:#|ℹ) pass (\d+)$", text),
        failed=(_number(r"^(?:#|ℹ) fail (\d+)$", text) or 0) + (_number(r"^(?:#|ℹ) cancelled (\d+)$", text) or 0),
        skipped=(_number(r"^(?:#|ℹ) skipped (\d+)$", text) or 0) + (_number(r"^(?:#|ℹ) todo (\d+)$", text) or 0),
        failing=_names(r"^\s*(?:not ok \d+ - |✖ )(?!failing tests:)(.+?)(?: \([\d.]+ms\))?$", text),
    )


def _read_mocha(text: str) -> Counts | None:
    passed = _number(r"^\s*(\d+) passing\b", text)
    if passed is None:
        return None
    return Counts(
        passed=passed,
        failed=_number(r"^\s*(\d+) failing\b", text) or 0,
        skipped=_number(r"^\s*(\d+) pending\b", text) or 0,
        failing=_names(r"^\s+\d+\) (.+?):?$", text.rpartition(" passing")[0]),
    )


def _read_jest(text: str) -> Counts | None:
    # jest: `Tests:  1 failed, 5 passed, 6 total`; vitest: `Tests  1 failed | 5 passed (6)`.
    lines = re.findall(r"^\s*Tests:?\s+(\d+ [a-z]+.*)$", text, re.MULTILINE)
    if not lines:
        return None
    found = {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z]+)", lines[-1])}
    return Counts(
        passed=found.get("passed", 0),
        failed=found.get("failed", 0),
        skipped=found.get("skipped", 0) + found.get("todo", 0) + found.get("pending", 0),
        failing=_names(r"^\s*(?:● |FAIL +(?=.* > ))(.+)$", text),
    )


def _read_go(text: str) -> Counts | None:
    if not re.search(r"^(?:ok|FAIL|\?) *\t\S+\t", text, re.MULTILINE):
        return None
    # Without -v go names the tests that failed only.
    verbose = "--- PASS: " in text or "=== RUN" in text
    failing = _names(r"^\s*--- FAIL: (\S+)", text)
    return Counts(
        passed=len(re.findall(r"^\s*--- PASS: ", text, re.MULTILINE)) if verbose else None,
        failed=len(failing),
        skipped=len(re.findall(r"^\s*--- SKIP: ", text, re.MULTILINE)) if verbose else None,
        failing=failing,
    )


_READERS: tuple[Callable[[str], Counts | None], ...] = (
    _read_pytest, _read_unittest, _read_node, _read_mocha, _read_jest, _read_go,
)  # fmt: skip
