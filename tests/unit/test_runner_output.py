"""Closing lines of test runners, as they really are."""

import sys
from pathlib import Path

import pytest

from tools.process import run
from tools.runner_output import Counts, read_counts

NODE_TAP = """TAP version 13
not ok 2 - subtracts
  ---
ok 1 - adds
1..2
# tests 3
# suites 0
# pass 1
# fail 1
# cancelled 0
# skipped 1
# todo 0
# duration_ms 52.1
"""
NODE_SPEC = """✔ adds (0.5ms)
✖ subtracts (1.2ms)
ℹ tests 2
ℹ pass 1
ℹ fail 1
ℹ cancelled 0
ℹ skipped 0
ℹ todo 0

✖ failing tests:

test at x.js:3:1
✖ subtracts (1.2ms)
"""
MOCHA = """
  sums
    ✔ adds
    1) subtracts

  1 passing (6ms)
  2 pending
  1 failing

  1) sums
       subtracts:
     AssertionError
"""
JEST = """FAIL ./sum.test.js
  ● sums › subtracts

    expect(received)

Test Suites: 1 failed, 1 total
Tests:       1 failed, 2 skipped, 5 passed, 8 total
Snapshots:   0 total
Time:        0.5 s
"""
VITEST = """ FAIL  src/sum.test.ts > sums > subtracts
AssertionError
 Test Files  1 failed (1)
      Tests  1 failed | 5 passed (6)
   Duration  300ms
"""
GO = """--- FAIL: TestSubtract (0.00s)
    sum_test.go:9: wrong
FAIL
FAIL\texample.org/sum\t0.002s
ok  \texample.org/other\t0.001s
FAIL
"""
GO_VERBOSE = """=== RUN   TestAdd
--- PASS: TestAdd (0.00s)
=== RUN   TestSkip
--- SKIP: TestSkip (0.00s)
PASS
ok  \texample.org/sum\t0.002s
"""
RED, BOLD, OFF = "\x1b[31m", "\x1b[1m", "\x1b[0m"
PYTEST_COLOURED = (
    f"{RED}FAILED{OFF} tests/test_a.py::{BOLD}test_b[x - y]{OFF} - assert 1\n"
    f"{RED}==== {RED}{BOLD}1 failed{OFF}, 2 passed{RED} in 0.12s{OFF}{RED} ===={OFF}\n"
)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (NODE_TAP, Counts(passed=1, failed=1, skipped=1, failing=("subtracts",))),
        (NODE_SPEC, Counts(passed=1, failed=1, skipped=0, failing=("subtracts",))),
        (MOCHA, Counts(passed=1, failed=1, skipped=2, failing=("subtracts",))),
        (JEST, Counts(passed=5, failed=1, skipped=2, failing=("sums › subtracts",))),
        (VITEST, Counts(passed=5, failed=1, skipped=0, failing=("src/sum.test.ts > sums > subtracts",))),
        (GO, Counts(passed=None, failed=1, skipped=None, failing=("TestSubtract",))),
        (GO_VERBOSE, Counts(passed=1, failed=0, skipped=1, failing=())),
        ("no tests ran in 0.01s\n", Counts(passed=0, failed=0, skipped=0)),
        ("3 passed, 1 warning in 61.20s (0:01:01)\n", Counts(passed=3, failed=0, skipped=0)),
        ("some tool: 3 passed quietly\n", Counts()),
        ("", Counts()),
    ],
)
def test_known_runners(output: str, expected: Counts) -> None:
    assert read_counts(output) == expected


def test_colours_do_not_matter() -> None:
    counts = read_counts(PYTEST_COLOURED)
    assert (counts.passed, counts.failed) == (2, 1) and counts.failing[0].startswith("tests/test_a.py::test_b[x")


SUITE = """
import unittest
class Sums(unittest.TestCase):
    def test_adds(self): self.assertEqual(1 + 1, 2)
    def test_wrong(self): self.assertEqual(1 + 1, 3)
    def test_breaks(self): raise RuntimeError
    @unittest.skip("later")
    def test_later(self): pass
    @unittest.expectedFailure
    def test_known(self): self.fail()
"""


async def test_runners_that_are_here(tmp_path: Path) -> None:
    """The same suite by two runners that this machine has for certain."""
    (tmp_path / "test_sums.py").write_text(SUITE)
    environment = {"PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    for words, broken in (
        (["unittest"], "test_breaks (test_sums.Sums"),
        (["pytest", "-q"], "test_sums.py::Sums::test_breaks"),
    ):
        done = await run(
            [sys.executable, "-m", *words, *(["test_sums.py"] if words[0] == "pytest" else [])],
            cwd=tmp_path, environment=environment, timeout=120,
        )  # fmt: skip
        counts = read_counts(done.out + done.err)
        assert (counts.passed, counts.failed, counts.skipped) == (1, 2, 2), done.out + done.err
        assert len(counts.failing) == 2 and any(name.startswith(broken) for name in counts.failing)
