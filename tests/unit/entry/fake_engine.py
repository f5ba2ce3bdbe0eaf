"""An engine that finishes at once with a report of real figures, so that the ways in are tested and not the recipe."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "report"))
from report_material import finish_run

from graphs.engine import RunOptions, save_report
from graphs.runs import Manifest, new_run_id, read_manifest, run_folder, write_manifest
from perfcrew.artifacts import Artifacts
from perfcrew.errors import UserError
from perfcrew.llm.accounts import Account
from perfcrew.llm.base import Reply, Usage
from perfcrew.llm.entries import Entry
from perfcrew.records.events import Event
from perfcrew.records.report import Report
from perfcrew.records.work import Card
from perfcrew.report.build import build_report, seal_report
from perfcrew.settings import Settings

REPLY = Reply(model="someone-1", blocks=(), stop="end", usage=Usage(input_tokens=120_000, output_tokens=8_000))


class FakeEngine:
    """Stands where `graphs.engine.run` is; keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[RunOptions] = []
        self.settings: list[Settings] = []
        self.changed: dict[str, Any] = {}
        self.during: Callable[[], Awaitable[None]] | None = None

    async def run(
        self, options: RunOptions, *, settings: Settings, watch: Any, approve: Any = None, overhear: Any = None
    ) -> Report:
        self.given.append(options)
        self.settings.append(settings)
        folder = self.begin(options, settings)
        card = Card(id="a-0", title="Measure [the] baseline", role="performance", status="DONE")
        watch(Event(kind="phase_started", text="Measure", phase="performance"))
        watch(Event(kind="card", text=card.title, card=card))
        watch(Event(kind="measured", text="p95 300 ms\x1b[31m", figures={"tokens": 10.0, "usd": 0.5}))
        watch(Event(kind="phase_finished", text="Measure", phase="performance", figures={"seconds": 2.0}))
        if self.during is not None:
            await self.during()
        artifacts = Artifacts(folder / "artifacts")
        account = Account(lambda model, usage: None)
        account.add(REPLY, "coder", "implementation")
        report = build_report(finish_run(artifacts, usage=account.table())).model_copy(
            update={"run_id": folder.name, **self.changed}
        )
        report = report.model_copy(update={"seal": ""})
        report = report.model_copy(update={"seal": seal_report(report)})
        save_report(folder, report)
        return report

    async def prepare(self, options: RunOptions, settings: Settings) -> tuple[Manifest, Path]:
        if not options.repo.is_dir():
            raise UserError(f"{options.repo}: no such folder")
        folder = self.begin(options, settings)
        return read_manifest(folder), folder

    def begin(self, options: RunOptions, settings: Settings) -> Path:
        folder = run_folder(settings.home, options.run_id or new_run_id(), new=options.run_id is None)
        entries = [
            Entry(kind="run", lane="", key="label", value="someone"),
            Entry(kind="reply", lane="1/implementation/coder", key="0", value=REPLY.model_dump(mode="json")),
        ]
        (folder / "journal.jsonl").write_text("".join(f"{entry.model_dump_json()}\n" for entry in entries))
        if options.run_id is None:
            manifest = Manifest(
                run_id=folder.name, repo=options.repo.resolve(), config=options.config, base="b" * 40,
                request=options.request, replay=options.replay, frozen=False, answered_by="x", quick=options.quick,
            )  # fmt: skip
            write_manifest(folder, manifest)
        return folder
