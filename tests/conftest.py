"""What all tests share: those that talk to a real model service run only when asked for; a mock for both SDKs."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import respx
from respx.mocks import HTTPCoreMocker

HTTPCORE2 = (
    "httpcore2._sync.connection.HTTPConnection",
    "httpcore2._sync.connection_pool.ConnectionPool",
    "httpcore2._sync.http_proxy.HTTPProxy",
    "httpcore2._async.connection.AsyncHTTPConnection",
    "httpcore2._async.connection_pool.AsyncConnectionPool",
    "httpcore2._async.http_proxy.AsyncHTTPProxy",
)


HERE = Path(__file__).parent
LANES = {"test_library.py": "runs", "test_secrets.py": "runs", "test_clinic.py": "runs", "test_orders.py": "runs"}
"""End-to-end tests that share a worker with others than the demo: more than two at once would leave each too little
of the machine."""
APART = {"test_page_instruments.py"}
"""Long tests that share no fixture: any worker may take any of them."""


def lane_of(item: pytest.Item) -> str:
    """What one worker takes as a whole: a file, whose fixtures are made once, or many end-to-end files."""
    path = item.path.relative_to(HERE)
    if path.parts[0] == "e2e":
        return LANES.get(path.name, "demo")
    return item.nodeid if path.name in APART else str(path)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="run the tests that talk to a real model service")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(lane_of(item)))
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
