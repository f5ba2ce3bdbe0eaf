"""A rolling deploy: while it lasts, the base's code runs on data that the candidate's migration has changed."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from perfcrew.records.evidence import Check
from tools.arm import CandidateDown, start_arm, start_both
from tools.lease import quiet_lease
from tools.pair import Pair
from tools.requests import open_client
from tools.scenarios import probe_sequences, reads_of
from tools.workspace import Workspace

ROLLING = "the base works on migrated data"
MOST = 24


async def check_rolling(workspace: Workspace, base: str, candidate: str) -> tuple[Check, ...]:
    """Run the base on the candidate's data and on its own, and compare reads and probes; nothing without `migrate`.

    Raises:
        InstrumentError: the base does not start on its own data.
    """
    database = workspace.target.database
    if database is None or not database.migrate:
        return ()
    target = workspace.target
    sequences = [reads_of(target, MOST), *(sequence for probe in target.probe for sequence in probe_sequences(probe))]
    volatile = {key for probe in target.probe for key in probe.volatile}
    try:
        async with quiet_lease(workspace), _both(workspace, base, candidate) as pair:
            found = await pair.compare(ROLLING, sequences, volatile)
    except CandidateDown as error:
        return (Check(name=ROLLING, passed=False, detail=str(error).splitlines()[0]),)
    return (found.as_check().model_copy(update={"held_out": any(probe.held_out for probe in target.probe)}),)


@asynccontextmanager
async def _both(workspace: Workspace, base: str, candidate: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        arms = await start_both(
            stack,
            start_arm(workspace, base, "rolling-base"),
            start_arm(workspace, base, "rolling-migrated", data_of=candidate),
        )
        left, right = [await stack.enter_async_context(open_client(arm.url)) for arm in arms]
        yield Pair(left, right)
