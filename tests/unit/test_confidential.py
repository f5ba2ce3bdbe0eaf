"""What counts as secret of a target, and what does not."""

from pathlib import Path
from typing import Any

import pytest

from perfcrew.records.target import Target
from tools.confidential import find_secrets


def described(**more: Any) -> Target:
    workload = {"name": "w", "request": [{"path": "/"}]}
    return Target.model_validate({"target": {"name": "t", "start": "x"}, "workload": [workload], **more})


def test_dotenv_files_are_read_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / ".env").write_text(
        "# a comment\nexport APP_SECRET='made up 1'\nDATABASE_URL=postgresql://u:dsn-pass-1@h/d\nDEBUG=true\nPORT=8000\n"
        "APP_MODULE=dashboard\nPLAIN=canary-0123456789\nEMPTY=\nNAME_ONLY\nSESSION_COOKIE_NAME=shop_session\n"
    )
    (tmp_path / "api" / ".env.production").write_text("API_KEY=deep-key-77\n")
    (tmp_path / ".env.example").write_text("API_KEY=example-key-1\n")
    (tmp_path / "node_modules" / ".env").write_text("API_KEY=others-key-1\n")
    assert find_secrets(described(), [tmp_path, tmp_path], {}) == {
        "made up 1", "dsn-pass-1", "postgresql://u:dsn-pass-1@h/d", "canary-0123456789", "deep-key-77",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("headers", "secrets"),
    [
        ({"Authorization": "Bearer tok-123456"}, {"tok-123456"}),
        ({"authorization": "Basic dXNlcjpwYXNzLTEyMw=="}, {"dXNlcjpwYXNzLTEyMw==", "pass-123"}),
        ({"X-Api-Key": "key-123456"}, {"key-123456"}),
        ({"Cookie": "session=abc-12345; theme=dark-mode-2"}, {"abc-12345", "dark-mode-2"}),
        ({"Authorization": "Bearer {token}", "Accept": "application/json-1"}, set()),
        ({"Authorization": "Bearer secret"}, set()),
    ],
)
def test_headers(headers: dict[str, str], secrets: set[str]) -> None:
    for place in ("request", "held_out", "probe"):
        request = [{"path": "/", "headers": headers}]
        workload: dict[str, Any] = {"name": "w", "request": [{"path": "/"}]}
        more: dict[str, Any] = {}
        if place == "probe":
            more = {"probe": [{"name": "p", "request": request}]}
        elif place == "held_out":
            workload["held_out"] = {"request": request}
        else:
            workload["request"] = request
        assert find_secrets(described(workload=[workload], **more), [], {}) == secrets, place


def test_parameters_bodies_environment_and_addresses() -> None:
    request = {"path": "/login", "method": "POST", "json": {"user": "ada-1815", "auth": [{"password": "pw-in-body-1"}]}}
    workload = {
        "name": "w", "request": [request], "params": {"token": ["tok-aaa-1", 12], "id": ["id-1815-9"]},
        "held_out": {"params": {"token": ["tok-held-out"]}},
    }  # fmt: skip
    target = described(
        workload=[workload],
        target={
            "name": "t",
            "start": "x",
            "environment": {
                "SECRET_KEY": "env-secret-9",
                "BROKER": "amqp://u:amqp%2Dpass@h/",
                "DATABASE_URL": "{database_url}",
            },
        },
        database={"engine": "postgresql", "url": "postgresql://u:dsn-pass-9@h/d"},
    )
    found = find_secrets(target, [], {"HTTPS_PROXY": "http://me:proxy-pass-1@proxy:3128", "PIP_CERT": "/etc/cert.pem"})
    assert found == {
        "pw-in-body-1", "tok-aaa-1", "tok-held-out", "env-secret-9", "amqp%2Dpass", "amqp-pass", "dsn-pass-9",
        "proxy-pass-1",
    }  # fmt: skip


def test_plain_words_are_not_looked_for_everywhere(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=postgres\nSECRET_KEY=dashboard\nPIN_CODE_PASSWORD=1234567\n")
    assert find_secrets(described(), [tmp_path], {}) == set()
