"""A workload's requests with their parameters filled in."""

from perfcrew.records.target import HeldOut, HttpRequest, Workload
from tools.requests import combine, expand, expand_workload

SHOP = Workload(
    name="shop",
    request=(
        HttpRequest(path="/items/{item}?page={page}", weight=3),
        HttpRequest(method="POST", path="/cart", json_body={"item": "{item}", "note": "no {item}"}),
        HttpRequest(path="/about"),
    ),
    params={"item": (1, 2, 3), "page": (1, 2), "unused": ("x",)},
    held_out=HeldOut(params={"item": (9,)}),
)


def test_each_request_comes_with_the_parameters_that_it_uses() -> None:
    items, cart, about = expand_workload(SHOP, cap=10)
    assert [item.path for item in items] == [f"/items/{item}?page={page}" for item in (1, 2, 3) for page in (1, 2)]
    assert [item.body for item in cart] == [b'{"item":%d,"note":"no %d"}' % (item, item) for item in (1, 2, 3)]
    assert [item.name for item in about] == ["GET /about"]
    assert (items[0].endpoint, items[0].weight, about[0].template) == ("GET /items/{item}", 3, 2)


def test_a_cap_takes_first_and_last_and_evenly_between() -> None:
    assert combine({"n": tuple(range(100))}, {"n"}, 4) == [{"n": 0}, {"n": 33}, {"n": 66}, {"n": 99}]
    assert combine({"n": (1, 2)}, {"n"}, 1) == [{"n": 1}]
    assert combine({"n": (1, 2)}, set(), 5) == [{}]


def test_held_out_replaces_what_it_names() -> None:
    items, cart, about = expand_workload(SHOP, cap=10, held_out=True)
    assert [item.path for item in items] == ["/items/9?page=1", "/items/9?page=2"]
    assert len(cart) == len(about) == 1


def test_values_are_quoted_in_paths() -> None:
    ((asked,),) = expand((HttpRequest(path="/search?q={words}"),), {"words": ("a b/&",)}, 5)
    assert asked.path == "/search?q=a%20b%2F%26"
    assert asked.endpoint == "GET /search"
