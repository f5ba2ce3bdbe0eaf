"""What all tests share: those that talk to a real model service run only when asked for; a mock for both SDKs."""

from collections.abc import Iterator
from typing import Any

import pytest
import respx
from hypothesis import settings
from respx.mocks import HTTPCoreMocker
from xdist.scheduler import LoadScopeScheduling

settings.register_profile("perfcrew", deadline=None)
settings.load_profile("perfcrew")
"""How long an example takes says how busy the machine is."""

HTTPCORE2 = (
    "httpcore2._sync.connection.HTTPConnection",
    "httpcore2._sync.connection_pool.ConnectionPool",
    "httpcore2._sync.http_proxy.HTTPProxy",
    "httpcore2._async.connection.AsyncHTTPConnection",
    "httpcore2._async.connection_pool.AsyncConnectionPool",
    "httpcore2._async.http_proxy.AsyncHTTPProxy",
)


E2E = {"test_library.py": "runs", "test_secrets.py": "runs", "test_clinic.py": "runs", "test_orders.py": "runs"}
"""Whole runs on one worker, the demo and what else is end to end on another: more than two at once would leave each too
little of the machine."""
APART = ("test_dashboard_database.py", "test_page_instruments.py", "test_traps.py")
"""Long files whose tests share no fixture: any worker may take any of them."""


class Lanes(LoadScopeScheduling):
    """Gives each worker whole files, whose fixtures are made once, or many end-to-end files."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        folder, _, name = path.rpartition("/")
        if folder.endswith("e2e"):
            return E2E.get(name, "demo")
        return nodeid if name in APART else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    # Its own groups by marker are not seen by pytest 9.2.
    return Lanes(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="run the tests that talk to a real model service")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--live"):
        return
    live = [item for item in items if item.get_closest_marker("live")]
    if live:
        items[:] = [item for item in items if item not in live]
        config.hook.pytest_deselected(items=live)


@pytest.fixture
def wire_mock() -> Iterator[respx.MockRouter]:
    """respx that sees both vendors' SDKs: they use httpx2, which respx doesn't know by itself."""
    HTTPCoreMocker.add_targets(*HTTPCORE2)
    try:
        with respx.mock(assert_all_called=False) as router:
            yield router
    finally:
        HTTPCoreMocker.remove_targets(*HTTPCORE2)
