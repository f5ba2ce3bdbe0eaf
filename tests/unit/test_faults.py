"""Statuses, headers and bodies of failures."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from perfcrew.errors import ContextOverflow
from perfcrew.llm.faults import MAX_DETAIL, one_line, refused, retry_after


@pytest.mark.parametrize(
    ("statuses", "retryable"),
    [((400, 401, 403, 404, 413, 422), False), ((408, 409, 429, 500, 502, 503, 504, 529), True)],
)
def test_which_statuses_are_worth_another_try(statuses: tuple[int, ...], retryable: bool) -> None:
    assert {refused("p", status, {}, None).retryable for status in statuses} == {retryable}


@pytest.mark.parametrize(("status", "said", "retryable"), [(500, "false", False), (400, "true", True)])
def test_the_service_knows_best(status: int, said: str, retryable: bool) -> None:
    assert refused("p", status, {"x-should-retry": said}, None).retryable is retryable


@pytest.mark.parametrize("code", ["insufficient_quota", "billing_hard_limit_reached", "contract_spend_limit_reached"])
def test_money_does_not_come_back_by_trying(code: str) -> None:
    assert not refused("p", 429, {}, {"error": {"code": code, "message": "pay"}}).retryable


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"error": {"type": "overloaded_error", "message": "busy"}}, "p: HTTP 500 overloaded_error busy"),
        ({"message": "unwrapped", "code": None, "type": "server_error"}, "p: HTTP 500 server_error unwrapped"),
        ({"error": "plain text"}, "p: HTTP 500 plain text"),
        ({"object": "error", "message": "vllm"}, "p: HTTP 500 vllm"),
        ({"detail": "fastapi"}, "p: HTTP 500 fastapi"),
        ("<html><TITLE>Bad\nGateway</TITLE></html>", "p: HTTP 500 an HTML page: Bad Gateway"),
        ("upstream gone", "p: HTTP 500 upstream gone"),
        (None, "p: HTTP 500"),
        ([1], "p: HTTP 500"),
    ],
)
def test_what_is_told(body: Any, told: str) -> None:
    assert str(refused("p", 500, {}, body)) == told


def test_the_request_id_is_told() -> None:
    error = refused("p", 500, {}, None, request_id="req_9")
    assert (str(error), error.request_id) == ("p: HTTP 500 (request req_9)", "req_9")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1.2.3"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


def test_retry_after_as_a_date() -> None:
    later = datetime.now(UTC) + timedelta(seconds=100)
    assert 90 < (retry_after({"retry-after": format_datetime(later, usegmt=True)}) or 0) <= 100
    assert retry_after({"retry-after": format_datetime(later - timedelta(hours=1), usegmt=True)}) == 0.0


def test_keys_never_get_through() -> None:
    told = one_line("Incorrect key: sk-ant-abc*****xyz and my-own-secret-key\n\nsorry", "my-own-secret-key")
    assert told == "Incorrect key: [key] and [key] sorry"


def test_long_pages_are_cut() -> None:
    assert len(one_line("x" * 5000)) == MAX_DETAIL


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": {"type": "invalid_request_error", "message": "prompt is too long: 210000 tokens > 200000"}}),
        (400, {"error": {"code": "context_length_exceeded", "message": "Your input exceeds the context window."}}),
        (400, {"object": "error", "message": "This model's maximum context length is 8192 tokens. You requested 9000"}),
        (500, {"error": {"message": "the request exceeds the available context size, try increasing it"}}),
        (413, {"error": "input length and max_tokens exceed context limit: 1 + 2 > 3"}),
    ],
)  # fmt: skip
def test_a_conversation_that_is_too_long_is_told_apart(status: int, body: Any) -> None:
    error = refused("p", status, {}, body)
    assert isinstance(error, ContextOverflow)
    assert not error.retryable


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "messages: text content blocks must be non-empty"), (429, "too many tokens per minute"), (500, "busy")],
)
def test_other_refusals_are_not(status: int, words: str) -> None:
    assert not isinstance(refused("p", status, {}, {"error": {"message": words}}), ContextOverflow)
