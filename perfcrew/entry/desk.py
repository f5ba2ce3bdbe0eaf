"""Where slash commands are carried out, one after the other, on one run: what `exec` and `chat` share."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from graphs.assembly import Overhear
from graphs.engine import Approval, ApprovalPending, RunOptions, run
from graphs.runs import Manifest, list_runs, read_manifest, read_report, run_folder
from graphs.session import run_orders
from graphs.standing import find_stop, read_state, undo_last
from graphs.state import RunState
from perfcrew.entry import looks
from perfcrew.entry.commands import CATALOGUE, Command
from perfcrew.entry.drive import drive, expect_seconds, run_names, run_to_end, settings_of
from perfcrew.entry.models import choose_model, show_models
from perfcrew.entry.outcomes import tell_done
from perfcrew.entry.recipes import options_of
from perfcrew.entry.screen import Screen
from perfcrew.entry.shelf import find_run, list_all, write_pages
from perfcrew.entry.talk import Talk
from perfcrew.errors import UserError
from perfcrew.llm.choice import choose
from perfcrew.records.report import Report
from perfcrew.records.work import Order, Plan
from perfcrew.report.terminal import print_report, safe
from perfcrew.settings import Settings
from tools.target import load_target

GO_ON = {True: "/resume", False: 'perfcrew exec --resume {} "/resume"'}
"""How a run that was stopped is gone on with, in a chat and elsewhere."""


class Desk:
    """One run, or the target that one will be begun on, and the commands that work on it.

    Args:
        given: the options of the command that opened it: path, config, resume, replay, models, budgets.
        console: where to write for people.
        stops: whether the recipe stops at its plan, for `/approve`.
        talks: whether somebody sits there and sees each result at once.
    """

    def __init__(self, given: Mapping[str, Any], console: Console, *, stops: bool, talks: bool = False) -> None:
        self._given, self._console, self._stops, self._talks = dict(given), console, stops, talks
        self.models: dict[str, str] = {}
        """Settings that `/model` has changed."""
        self.run_id: str | None = None
        self.report: Report | None = None
        """Of the newest work; None while nothing was worked on."""
        self.whole = False
        """Whether that was the whole recipe."""
        self._talk = Talk(console)
        self._verbs: dict[str, Callable[[Command], None]] = {
            "recipe": self._recipe, "status": self._status, "plan": self._plan, "approve": self._approve,
            "diff": self._diff, "report": self._report, "runs": self._runs, "resume": self._resume,
            "cost": self._cost, "model": self._model, "undo": self._undo, "help": self._help, "ask": self._ask,
        }  # fmt: skip
        if given.get("resume"):
            self._take(str(given["resume"]))

    @property
    def proposal(self) -> str:
        """The command that the guide proposed last; empty once anything was carried out."""
        return self._talk.proposal

    def settings(self) -> Settings:
        """The settings, with what `/model` has changed."""
        return settings_of({**self._given, **self.models})

    def folder(self) -> Path:
        """The run's folder.

        Raises:
            UserError: there is no run yet.
        """
        if self.run_id is None:
            raise UserError("there is no run here yet; begin with /agent:performance or /recipe, or /resume RUN")
        return run_folder(self.settings().home, self.run_id)

    def last_report(self) -> Report:
        """The report of the run as it stands."""
        return read_report(self.folder())

    def carry_out(self, commands: Sequence[Command]) -> bool:
        """Carry out commands in their order; False where one of them was `/quit`."""
        orders: list[Order] = []
        self._talk.proposal = ""
        for command in commands:
            if command.role is not None:
                orders.append(Order(role=command.role, said=command.said, phase=command.phase))
                continue
            self._order(orders)
            orders = []
            if command.name == "quit":
                return False
            self._verbs[command.name](command)
        self._order(orders)
        return True

    def _take(self, name: str) -> None:
        """Make a run the one that commands work on."""
        folder = find_run(name)
        manifest = read_manifest(folder)
        if manifest.kind != "run":
            raise UserError(f"{folder.name}: not a run of the recipe; perfcrew report {folder.name} shows it")
        self.run_id = folder.name
        # What is begun anew from here is begun on the same application.
        self._given |= {"path": manifest.repo, "config": manifest.config}

    def _options(self, **changed: Any) -> RunOptions:
        given = {"context": None, "variation": "full", **self._given, "resume": self.run_id, **changed}
        return options_of(given, self.settings())

    def _state(self) -> RunState | None:
        return run_to_end(read_state(self.folder()))

    def _manifest(self) -> Manifest:
        return read_manifest(self.folder())

    def _work(self, options: RunOptions, work: Callable[[Screen], Any]) -> None:
        """Work on the run with a live screen; whatever comes of it, the run stays the one at hand."""
        settings = self.settings()
        state = self._state() if options.run_id else None
        screen = Screen(self._console, expect_seconds(settings, options.repo), state["board"] if state else None)
        before = run_names(settings)
        try:
            self.report, _ = drive(lambda _: work(screen), options, settings, screen, GO_ON[self._talks])
            self.run_id = self.report.run_id
        except BaseException:
            new = run_names(settings) - before
            self.run_id = options.run_id or (new.pop() if len(new) == 1 else self.run_id)
            raise

    def _overhear(self, screen: Screen) -> Overhear | None:
        return screen.overhear if self._console.is_terminal else None

    def _order(self, orders: Sequence[Order], *, goes_on: bool = False) -> None:
        if not orders and not goes_on:
            return
        options, settings = self._options(), self.settings()
        self.whole = False
        self._work(
            options,
            lambda screen: run_orders(
                options, orders, settings=settings, watch=screen.watch, overhear=self._overhear(screen),
                told=lambda done: tell_done(done, self._console),
            ),
        )  # fmt: skip

    def _recipe(self, command: Command) -> None:
        options = self._options(resume=None, variation=command.variation or "full", approve=self._stops)
        if command.said:
            context = options.request.context.model_copy(update={"issue": command.said})
            options = replace(options, request=options.request.model_copy(update={"context": context}))
        self._run(options)

    def _run(self, options: RunOptions, approval: Approval | None = None) -> None:
        """The recipe, until its end or a plan that waits."""
        settings, left = self.settings(), [approval] if approval else []

        async def approve(plan: Plan) -> Approval:
            if not left:
                raise ApprovalPending(f"the plan waits: {plan.summary}")
            return left.pop()

        def work(screen: Screen) -> Any:
            return run(options, settings=settings, watch=screen.watch, approve=approve, overhear=self._overhear(screen))

        try:
            self._work(options, work)
        except ApprovalPending:
            self._plan(None)
            self._console.print("The plan waits: /approve carries it out, /approve no WHY declines it.", markup=False)
            return
        self.whole = True
        if self.report is not None and self._talks:
            print_report(self.report, self._console, write_pages(self.folder(), self.report))

    def _status(self, _: Command) -> None:
        stopped = run_to_end(find_stop(self.folder()))
        looks.show_status(self._manifest(), self._state(), stopped, self._console)

    def _plan(self, _: Command | None) -> None:
        state = self._state()
        if state is None or not state["plans"]:
            raise UserError("there is no plan yet; /agent:architect makes one")
        looks.show_plan(state["plans"][-1], self._console)

    def _approve(self, command: Command) -> None:
        word, _, note = command.text.partition(" ")
        declined = word.lower().strip(",:;.") in ("no", "n")
        stopped = run_to_end(find_stop(self.folder()))
        if stopped is not None and stopped.inside == "approval":
            self._run(self._options(), Approval(approved=not declined, note=note.strip() if declined else command.text))
            return
        state = self._state()
        steps = {step.id for step in state["plans"][-1].steps} if state and state["plans"] else set()
        if state is None or not steps or any(change.step in steps for change in state["changes"]):
            raise UserError("no plan waits for approval; /agent:architect makes one")
        if declined:
            self._console.print("Declined. /agent:architect WORDS plans anew.", markup=False)
            return
        self._order([Order(role="coder", said=command.text)])

    def _diff(self, command: Command) -> None:
        from perfcrew.artifacts import Artifacts

        state, folder = self._state(), self.folder()
        if state is None:
            raise UserError("nothing was changed yet; /agent:coder carries out a plan")
        looks.show_diffs(state, Artifacts(folder / "artifacts"), command.text.strip(), self._console)

    def _report(self, _: Command) -> None:
        report = self.last_report()
        print_report(report, self._console, write_pages(self.folder(), report))

    def _runs(self, _: Command) -> None:
        # Standard output may be for JSON alone.
        with redirect_stdout(self._console.file):
            list_all(most=20, form=None)

    def _resume(self, command: Command) -> None:
        if command.text.strip():
            self._take(command.text.strip())
        elif self.run_id is None:
            self._take(self._last_here())
        stopped = run_to_end(find_stop(self.folder()))
        if stopped is None:
            self._console.print(safe(f"run {self.run_id} is at hand; nothing of it was stopped"))
        elif stopped.inside == "approval":
            self._plan(None)
            self._console.print("The plan waits: /approve carries it out, /approve no WHY declines it.", markup=False)
        elif stopped.inside == "phase":
            self._order([], goes_on=True)
        else:
            self._run(self._options())

    def _last_here(self) -> str:
        """The newest run on this target."""
        repo = Path(self._given["path"]).resolve()
        for folder in list_runs(self.settings().home):
            manifest = read_manifest(folder)
            if manifest.kind == "run" and (manifest.repo == repo or manifest.repo in repo.parents):
                return folder.name
        raise UserError(f"there is no run on {repo} yet; /runs lists all")

    def _cost(self, _: Command) -> None:
        folder, manifest = self.folder(), self._manifest()
        target, _config = load_target(manifest.repo, manifest.config)
        price = choose(self.settings(), target.models).catalogue.price
        looks.show_costs([folder / name for name in ("journal.jsonl", "talk.jsonl")], price, self._console)

    def _model(self, command: Command) -> None:
        if command.text.strip():
            changed = {**self.models, **choose_model(command.text)}
            settings_of({**self._given, **changed})
            self.models = changed
        target, _config = load_target(self._options().repo, self._options().config)
        show_models(choose(self.settings(), target.models), self._console)

    def _undo(self, _: Command) -> None:
        if self.run_id is None:
            raise UserError("there is nothing to undo: there is no run here yet")
        options, settings = self._options(), self.settings()
        change, self.report = run_to_end(undo_last(options, settings=settings, watch=lambda _: None))
        self._console.print(safe(f"withdrawn: {change.title}"))
        self._console.print("/agent:performance measures what is left as a whole and offers it again.", markup=False)

    def _help(self, command: Command) -> None:
        name = command.text.strip().lstrip("/")
        if name and name not in CATALOGUE:
            raise UserError(f"/help {name}: no such command; /help lists them")
        for each, entry in CATALOGUE.items():
            if name in ("", each):
                self._console.print(safe(f"/{each} {entry.takes}".rstrip(), "bold"), soft_wrap=True)
                self._console.print(safe(f"    {entry.does}" + (f"\n    {entry.example}" if name else "")))
        if not name:
            self._console.print("Words without a slash are a question about the run.", markup=False)

    def _ask(self, command: Command) -> None:
        settings = self.settings()
        before = run_names(settings)
        try:
            self.run_id = self._talk.ask(command.said, self._options(), settings)
        finally:
            new = run_names(settings) - before
            if self.run_id is None and len(new) == 1:
                self.run_id = new.pop()
