"""One visit of a page by a real browser: a cold cache, real throttling, the scripted steps, and what was seen."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfcrew.errors import InstrumentError
from perfcrew.records.target import HttpRequest, Page, PageStep, Workload
from tools.page_network import NetworkLog
from tools.requests import ask

if TYPE_CHECKING:
    from playwright.async_api import Browser, CDPSession
    from playwright.async_api import Page as Tab

SCRIPTS = Path(__file__).parent / "inject" / "page-scripts"
LOAD_S = 60.0
STEP_S = 10.0
AFTER_STEP_S = 1.6
"""An interaction's next paint is reported late: after 0.8 s there was nothing yet, after 1.5 s there was."""
POLL_S = 0.1


@dataclass(frozen=True)
class Throttle:
    """How much slower than this machine: CPU by a factor, the network by round trip and throughput in bits/s."""

    cpu: float
    rtt_ms: float
    down: float
    up: float


THROTTLES: dict[str, Throttle | None] = {
    # As Lighthouse throttles a phone when it does so for real (`devtools`): slow 4G, request latencies scaled to match.
    "mobile": Throttle(4, 562.5, 1_474_560, 675_000),
    "desktop": Throttle(1, 40, 10_240_000, 10_240_000),
    "none": None,
}


def _conditions(throttle: Throttle | None) -> dict[str, Any]:
    if throttle is None:
        # Pages are told that they are offline where loopback is all there is. A latency of any size denies that.
        return {"offline": False, "latency": 0.001, "downloadThroughput": -1, "uploadThroughput": -1}
    return {
        "offline": False, "latency": throttle.rtt_ms,
        "downloadThroughput": throttle.down / 8, "uploadThroughput": throttle.up / 8,
    }  # fmt: skip


def page_path(workload: Workload) -> str:
    """The page's path with the first value of each parameter filled in."""
    assert workload.page is not None
    given = {name: values[0] for name, values in workload.params.items()}
    return ask(HttpRequest(path=workload.page.path), given).path


@cache
def _script() -> str:
    library = (SCRIPTS / "web-vitals.attribution.iife.js").read_text(encoding="utf-8")
    # A declaration would be the page's own variable; this one belongs to nobody.
    library = library.replace("var webVitals=", "window.webVitals=", 1)
    return library + "\n" + (SCRIPTS / "observe.js").read_text(encoding="utf-8")


@asynccontextmanager
async def open_tab(
    browser: "Browser", page: Page, *, throttled: bool
) -> AsyncIterator[tuple["Tab", "CDPSession", NetworkLog]]:
    """A tab with a cold cache of its own: the tab, its protocol session, and the log of its requests."""
    context = await browser.new_context(
        viewport={"width": page.width, "height": page.height},
        is_mobile=page.throttling == "mobile",
        device_scale_factor=1,
    )
    try:
        await context.add_init_script(_script())
        tab = await context.new_page()
        session = await context.new_cdp_session(tab)
        log = NetworkLog()
        log.attach(session)
        await session.send("Network.enable")
        throttle = THROTTLES[page.throttling] if throttled else None
        if throttle is not None:
            await session.send("Emulation.setCPUThrottlingRate", {"rate": throttle.cpu})
        await session.send("Network.emulateNetworkConditions", _conditions(throttle))
        yield tab, session, log
    finally:
        await context.close()


async def visit_page(
    browser: "Browser", url: str, workload: Workload, *, quiet_s: float, throttled: bool = True
) -> dict[str, Any]:
    """Load a page, wait until it is quiet, carry out its steps, and give what was seen: see `perfcrew.page_stats`.

    Args:
        browser: the browser; the visit has a cold cache of its own in it.
        url: the page's address.
        workload: of kind `page`.
        quiet_s: how long nothing may happen before the page counts as loaded; five seconds find a TTI.
        throttled: by the page's profile; False for a visit that only warms the server up.

    Raises:
        InstrumentError: the page does not load, or a step finds nothing to act on.
    """
    page = workload.page
    assert page is not None
    async with open_tab(browser, page, throttled=throttled) as (tab, _, log):
        await load(tab, url)
        await settle(tab, log, quiet_s)
        loaded_until = await tab.evaluate("performance.now()")
        await act_all(tab, workload)
        seen: dict[str, Any] = await tab.evaluate("__perfcrew.read()")
        seen["loaded_until"] = loaded_until
        seen["requests"] = log.spans(seen["origin"])
        seen["bytes"], seen["request_count"] = log.total_bytes(), len(log.requests)
        seen["network"] = log.requests
        return seen


async def load(tab: "Tab", url: str) -> None:
    """Go to an address and wait for the load event.

    Raises:
        InstrumentError: no answer, or an error page.
    """
    from playwright.async_api import Error

    try:
        answer = await tab.goto(url, wait_until="load", timeout=LOAD_S * 1000)
    except Error as error:
        raise InstrumentError(f"{url} does not load: {error.message.splitlines()[0]}") from error
    if answer is not None and answer.status >= 400:
        raise InstrumentError(f"{url} is answered with status {answer.status}")


async def settle(tab: "Tab", log: NetworkLog, quiet_s: float) -> None:
    """Wait until the page has been quiet for a while: no request under way, no long task, nothing new painted."""
    began = quiet_since = time.monotonic()
    known: Any = None
    while time.monotonic() - quiet_since < quiet_s and time.monotonic() - began < LOAD_S:
        state = await tab.evaluate("[__perfcrew.long_tasks.length, __perfcrew.vitals.LCP?.value ?? 0]")
        state = [*state, len(log.requests)]
        if state != known or log.under_way() > 0:
            known, quiet_since = state, time.monotonic()
        await asyncio.sleep(POLL_S)


async def act_all(tab: "Tab", workload: Workload) -> None:
    """Carry out the workload's steps, and wait after each until its paint has been reported.

    Raises:
        InstrumentError: a step finds nothing to act on.
    """
    for number, step in enumerate(workload.page.step if workload.page else (), 1):
        await _act(tab, step, f"workload {workload.name}, step {number}")


async def _act(tab: "Tab", step: PageStep, where: str) -> None:
    from playwright.async_api import Error

    selector = step.click or step.fill or ""
    try:
        element = tab.locator(selector).first
        await element.click(timeout=STEP_S * 1000)
        if step.fill is not None:
            await element.press_sequentially(step.text, delay=60, timeout=STEP_S * 1000)
    except Error as error:
        raise InstrumentError(f"{where}: {selector!r} can't be used: {error.message.splitlines()[0]}") from error
    await asyncio.sleep(AFTER_STEP_S)
