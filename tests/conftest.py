"""What all tests share: those that talk to a real model service run only when asked for; a mock for both SDKs."""

from collections.abc import Iterator

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
