"""Both pages answer; the twin is compressed and can be kept, the shop is neither."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest
from storefront.assets import make_assets, make_png
from storefront.server import Handler


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def ask(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, headers={name.replace("_", "-"): value for name, value in headers.items()})
    with urllib.request.urlopen(request) as answer:
        return answer.status, dict(answer.headers), answer.read()


def test_shop_is_redirected_to_and_plain(url: str) -> None:
    status, headers, body = ask(f"{url}/shop", Accept_Encoding="gzip")
    assert status == 200 and b"/static/bundle.js" in body
    assert "Content-Encoding" not in headers and "Cache-Control" not in headers


def test_twin_is_compressed_and_kept(url: str) -> None:
    _, headers, body = ask(f"{url}/twin", Accept_Encoding="gzip")
    assert headers["Content-Encoding"] == "gzip" and len(body) < 2000
    with pytest.raises(urllib.error.HTTPError, match="304"):
        ask(f"{url}/twin", If_None_Match=headers["ETag"])


def test_prices_depend_on_the_shelf(url: str) -> None:
    first, second = (json.loads(ask(f"{url}/api/prices?shelf={shelf}")[2]) for shelf in (1, 2))
    assert len(first) == len(second) == 12 and first != second


def test_bundle_has_a_source_map() -> None:
    assets = make_assets()
    told = json.loads(assets["/static/bundle.js.map"][1])
    lines = assets["/static/bundle.js"][1].decode().splitlines()
    assert len(told["mappings"].split(";")) == len(lines) - 1
    assert [source.count("\n") > 0 for source in told["sourcesContent"]] == [True, True, True]


def test_pictures_are_the_same_every_time() -> None:
    assert make_png(8, 8, 1) == make_png(8, 8, 1) != make_png(8, 8, 2)
