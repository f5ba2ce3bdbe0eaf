"""A scripted model that plays every role of the recipe on the library desk, for `tests.llm_endpoint.ScriptedEndpoint`.

`LibraryScript(GOOD)` answers each role from what its brief says: findings and evidence are cited by the ids that stand
there, and steps are matched by their titles. It tells the roles apart by their tools, so that it works on every wire.
"""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tests.e2e.patches import BATCH, BREAKING, COMMENT, GOOD, HOLIDAYS, Patch
from tests.llm_endpoint import Answer, RequestView

__all__ = ["BATCH", "BREAKING", "COMMENT", "GOOD", "HOLIDAYS", "LibraryScript", "role_of"]

_EVIDENCE = re.compile(r"### Evidence `([^`]+)`")
_FINDING = re.compile(r"^- `((\w+)@[^`]*)` \[\w+; (share not measured|\d+% of end-to-end time);", re.MULTILINE)
_ROUTE = re.compile(r"^route (\S+ \S+)", re.MULTILINE)
_STEP_TITLE = re.compile(r"^- title: (.+)$", re.MULTILINE)


def role_of(tools: Sequence[str]) -> str:
    """Which conversation offers these tools."""
    offered = set(tools)
    if "replace_text" in offered:
        return "coder"
    if "compare_request" in offered:
        return "tester"
    if "query_graph" in offered:
        return "architect" if "explain_query" in offered else "memory-sync"
    if "explain_query" in offered:
        return "performance baseline"
    return "security" if "list_files" in offered else "performance validation"


class LibraryScript:
    """Answers requests; call it with a `RequestView`.

    Args:
        patches: what the architect plans and the coder carries out, a step each.
        usage: tokens that each answer reports.
    """

    def __init__(self, patches: Sequence[Patch], usage: dict[str, int] | None = None) -> None:
        self.patches = {patch.title: patch for patch in patches}
        self.usage = usage or {"input": 1000, "output": 100}
        self.asked: Counter[str] = Counter()
        """Requests by role."""
        self._lock = threading.Lock()

    def __call__(self, request: RequestView) -> Answer:
        role = role_of(request.tools)
        with self._lock:
            self.asked[role] += 1
        turn = sum(1 for message in request.messages if message.role == "assistant")
        brief = request.messages[0].text
        play = {
            "performance baseline": self._baseline,
            "memory-sync": self._snapshot,
            "architect": self._design,
            "coder": self._code,
            "performance validation": self._validate,
            "tester": self._probe,
            "security": self._review,
        }[role]
        return {"usage": self.usage, **play(turn, brief)}

    def _baseline(self, turn: int, brief: str) -> Answer:
        if turn == 0:
            return _calls(
                ("list_files", {}),
                ("read_file", {"path": "library/loans.py"}),
                ("read_file", {"path": "library/calendar.py"}),
            )
        cpu = [name for name in _EVIDENCE.findall(brief) if name.startswith("cpu@")]
        proposed = {
            "kind": "repeated_computation",
            "place": {"path": "library/calendar.py", "symbol": "holidays"},
            "claim": "The holidays of a year are computed anew for every day of every fine.",
            "evidence": cpu[:1],
            "severity": "high",
            "remedy": "Compute them once a year and keep them.",
            "prevention": "Profile endpoints with date arithmetic.",
        }
        return _answer(
            summary="Overdue lists ask one loan at a time and compute the same calendar again and again.",
            findings=[proposed] if cpu else [],
        )

    def _snapshot(self, turn: int, brief: str) -> Answer:
        routes = _ROUTE.findall(brief)
        if turn == 0 and routes:
            return _calls(("show_path", {"route": routes[0]}))
        path = {
            "route": "",
            "functions": ["library.loans.list_overdue"],
            "tables": ["loans", "books"],
            "note": "by loan",
        }
        return _answer(
            summary="A Flask application with blueprints for books, loans and members on SQLite, without an ORM.",
            components=["library.books", "library.loans", "library.members", "library.calendar"],
            critical_paths=[{**path, "route": route} for route in routes[:1]],
            patterns=["one connection a request"],
        )

    def _design(self, turn: int, brief: str) -> Answer:
        if turn == 0:
            return _calls(("query_graph", {"start": "library.calendar.holidays", "direction": "in"}))
        findings = _FINDING.findall(brief.partition("# Findings")[2])
        tried = brief.partition("# Tried already")[2]
        steps = [
            step
            for patch in self.patches.values()
            if patch.title not in tried and (step := _step(patch, findings)) is not None
        ]
        return _answer(
            summary="Stop the repeated work first, then the repeated questions."
            if steps
            else "Nothing more to propose.",
            steps=steps,
            criteria=[{"metric": "http.p95_ms", "workload": "overdue", "comparison": "improve_by", "value": 2.0}],
            risks="Fines must stay right to the cent.",
            rollback="Revert the commits, newest first.",
        )

    def _code(self, turn: int, brief: str) -> Answer:
        title = _STEP_TITLE.search(brief)
        patch = self.patches[title[1]] if title else next(iter(self.patches.values()))
        if re.search(r"^# Attempt \d+ failed", brief, re.MULTILINE):
            return _answer(title=patch.title, body="", gave_up=True, reason="There is no other idea for this step.")
        if turn == 0:
            changed = dict.fromkeys(edit.path for edit in patch.edits if edit.old)
            return _calls(*(("read_file", {"path": path}) for path in changed or ["library/db.py"]))
        if turn == 1:
            return _calls(
                *(
                    ("replace_text", {"path": edit.path, "old": edit.old, "new": edit.new})
                    if edit.old
                    else ("write_file", {"path": edit.path, "content": edit.new})
                    for edit in patch.edits
                )
            )
        if turn == 2:
            return _calls(("run_target_tests", {}))
        return _answer(title=patch.title, body=f"{patch.body}\n\nTo roll back, revert this commit.")

    def _validate(self, turn: int, brief: str) -> Answer:
        return _answer(summary="The overdue list got faster; nothing else moved.", concerns=[])

    def _probe(self, turn: int, brief: str) -> Answer:
        if turn == 0:
            paths = ("/api/branches/1/overdue?limit=1", "/api/branches/6/overdue?limit=200", "/api/members/40")
            return _calls(*(("compare_request", {"method": "GET", "path": path}) for path in paths))
        return _answer(summary="Limits, the last branch and a member answer alike.", concerns=[])

    def _review(self, turn: int, brief: str) -> Answer:
        return _answer(summary="Statements take parameters; nothing new is exposed.", exposures=[])


def _step(patch: Patch, findings: Sequence[tuple[str, str, str]]) -> dict[str, Any] | None:
    """A plan step for a patch; None when no finding has a measured share."""
    measured = [(name, kind) for name, kind, share in findings if share != "share not measured"]
    ranked = sorted(
        measured, key=lambda item: patch.kinds.index(item[1]) if item[1] in patch.kinds else len(patch.kinds)
    )
    if not ranked:
        return None
    return {
        "title": patch.title,
        "findings": [ranked[0][0]],
        "layer": patch.layer,
        "hypothesis": patch.body,
        "metric": "db.queries_per_request" if patch is BATCH else "http.p95_ms",
        "workload": "overdue",
        "predicted_ratio": 1.5,
        "impact": "high",
        "effort": "low",
        "risk": "low",
        "side_effects": "None that a client can see.",
        "rollback": "Revert the commit.",
        "monitoring": "P95 of the overdue list.",
        "test_strategy": "The existing tests, and equal answers on held-out branches and limits.",
        "files": sorted({edit.path for edit in patch.edits}),
    }


def _calls(*calls: tuple[str, dict[str, Any]]) -> Answer:
    return {"text": "Looking.", "tool_calls": [{"name": name, "arguments": arguments} for name, arguments in calls]}


def _answer(**arguments: Any) -> Answer:
    return {"tool_calls": [{"name": "answer", "arguments": arguments}]}
