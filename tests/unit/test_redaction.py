"""Secrets are taken out: by value in all spellings, by shape, and nothing else is touched."""

import base64
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from perfcrew.artifacts import Artifacts
from perfcrew.llm.base import Message, Text
from perfcrew.redaction import LEAST, MASK, OPEN, Redactor

BEGIN, END = "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----"
SECRET = 'pä"ss\\w/0rd+é'


@pytest.mark.parametrize(
    "spelt",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        "p%C3%A4%22ss%5Cw%2F0rd%2B%C3%A9",
        base64.b64encode(SECRET.encode()).decode(),
    ],
)
def test_a_known_value_goes_in_all_its_spellings(spelt: str) -> None:
    assert Redactor([SECRET]).text(f"<{spelt}> and {spelt}.") == f"<{MASK}> and {MASK}."


@given(secret=st.text(min_size=LEAST, max_size=40), before=st.text(), after=st.text())
def test_no_known_value_survives(secret: str, before: str, after: str) -> None:
    assume(not any("\ud800" <= character <= "\udfff" for character in secret))
    assume(secret not in MASK)
    redacted = Redactor([secret]).text(f"{before}{secret}{after}")
    assert secret not in redacted or secret in f"{before}{MASK}{after}"
    assert (
        json.loads(Redactor([secret]).text(json.dumps({"key": 1})) if secret not in '{"key": 1}' else "{}") is not None
    )


def test_a_secret_inside_another_leaves_no_ends() -> None:
    assert Redactor(["canary", "canary-and-more"]).text("canary-and-more canary") == f"{MASK} {MASK}"


def test_short_values_are_left_alone() -> None:
    assert Redactor(["abc", ""]).text("abcdef") == "abcdef"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("postgresql://app:hunter2@db:5432/x", f"postgresql://app:{MASK}@db:5432/x"),
        ("mysql://root:p%40ss@h and redis://:pw@h", f"mysql://root:{MASK}@h and redis://:{MASK}@h"),
        ("Authorization: Bearer abcdef.12345678", f"Authorization: Bearer {MASK}"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', f'{{"authorization": "Basic {MASK}"}}'),
        ('{\\"Authorization\\": \\"Token 0123456789\\"}', f'{{\\"Authorization\\": \\"Token {MASK}\\"}}'),
        ("key sk-ant-api03-AbCdEfGh0123456789IjKlMn.", f"key {MASK}."),
        ("AKIAIOSFODNN7EXAMPLE", MASK),
        ("ghp_" + "a1" * 18, MASK),
        (f"{BEGIN}\nMIIE\n{END}", f"{BEGIN}{MASK}{END}"),
    ],
)
def test_shapes_go_without_being_known(text: str, kept: str) -> None:
    assert OPEN.text(text) == kept
    assert OPEN.text(kept) == kept, "once is enough"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://{user}:{password}@{host}/x",
        'f"redis://:${REDIS_PASSWORD}@cache"',
        "see http://127.0.0.1:8000/a@b and git@github.com:a/b.git",
        'authorization = request.headers.get("authorization")',
        'headers={"Authorization": f"Bearer {token}"}',
        "risk-assessment-of-something-very-long-indeed-2",
        "2026-11-24T00:00:00 10:20@30",
    ],
)
def test_what_is_no_secret_stays_and_is_the_same_object(text: str) -> None:
    assert OPEN.text(text) is text
    content = text.encode()
    assert OPEN.content(content) is content


def test_compressed_content_is_looked_into() -> None:
    redactor = Redactor(["canary-value"])
    packed = gzip.compress(b"x canary-value y", mtime=0)
    assert gzip.decompress(redactor.content(packed)) == f"x {MASK} y".encode()
    clean = gzip.compress(b"nothing", mtime=0)
    assert redactor.content(clean) is clean
    broken = b"\x1f\x8b and no more"
    assert redactor.content(broken) == broken


def test_a_record_stays_a_record() -> None:
    message = Message(role="user", blocks=(Text(text='say "canary-value"'),))
    assert Redactor(["canary-value"]).record(message).blocks == (Text(text=f'say "{MASK}"'),)
    assert OPEN.record(message) is message


def test_artifacts_hold_no_secrets_and_are_named_by_what_they_hold(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, Redactor(["canary-value"]))
    refs = [
        artifacts.put_text("a canary-value"),
        artifacts.put_json({"k": ["canary-value", 1.5]}),
        artifacts.put(gzip.compress(b"canary-value"), ".gz"),
    ]
    for ref in refs:
        content = artifacts.get(ref)
        plain = gzip.decompress(content) if ref.suffix.endswith("gz") else content
        assert b"canary" not in plain
        assert MASK.encode() in plain
        assert ref.size == len(content)
    assert artifacts.get_json(refs[1]) == {"k": [MASK, 1.5]}
