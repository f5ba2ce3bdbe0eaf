"""Canaries are planted wherever a secret can be, and everything that a whole run wrote or sent is searched for them."""

import gzip
import shutil
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.patches import BATCH
from tests.e2e.scripted import LibraryScript
from tests.llm_endpoint import ScriptedEndpoint
from tests.unit.target_repo import VARIABLES
from tools import process

LIBRARY = Path(__file__).parents[1] / "apps" / "library"
CANARIES = {
    "our own key": "sk-canary-own-key-0001",
    "our environment": "canary-environment-0002",
    "a .env file": "canary-dotenv-0003",
    "a .env file, named plainly": "canary-plain-0004",
    "the target's environment": "canary-target-env-0005",
    "an address's password": "canary-broker-0006",
    "an Authorization header": "canary-bearer-0007",
    "a key header": "canary-api-key-0008",
    "a cookie": "canary-cookie-0009",
    "a parameter": "canary-param-token-0010",
    "a body": "canary-password-0011",
    "the source, with a form of its own": "sk-ant-api03-canary0012canary0012canary",
}
COPIES = ("clone", "worktrees", "data", "source", "env", "cache")
"""Folders that hold the target itself: its repository, its packages, its data."""
HOOKS = """
    import os, sys
    print("starting with", dict(os.environ), file=sys.stderr)

    @app.after_request
    def tell(response):  # type: ignore
        from flask import request
        print("request", dict(request.headers), request.get_data(), file=sys.stderr)
        response.headers["X-Echo"] = request.headers.get("Authorization", "")
        if request.path != "/health":
            db.get_connection().execute("SELECT '" + os.environ["APP_SECRET"] + "'")
        return response

    return app
"""
DESCRIPTION = f"""
[target.environment]
APP_SECRET = "{CANARIES["the target's environment"]}"
BROKER = "amqp://app:{CANARIES["an address's password"]}@127.0.0.1/x"
"""
HEADERS = (
    f'headers = {{ Authorization = "Bearer {CANARIES["an Authorization header"]}", '
    f'X-Api-Key = "{CANARIES["a key header"]}", Cookie = "session={CANARIES["a cookie"]}" }}'
)
PROBE = f"""
[[probe]]
name = "signing in"
[[probe.request]]
method = "POST"
path = "/api/loans"
expect = [400, 404, 409, 415, 422, 500]
json = {{ user = "ada", password = "{CANARIES["a body"]}" }}

[[check]]
name = "talks too much"
command = "{{env}}/bin/python -c \\"import os, sys; print(os.environ.get('APP_SECRET'), '{CANARIES["a .env file"]}')\\""
"""


def plant(folder: Path) -> None:
    """A library desk that tells everything it knows to its log, its answers and its database."""
    shutil.copytree(LIBRARY, folder, ignore=shutil.ignore_patterns("__pycache__", "*.db"))
    (folder / ".env").write_text(
        f"SIGNING_KEY={CANARIES['a .env file']}\nGREETING={CANARIES['a .env file, named plainly']}\n"
    )
    (folder / ".gitignore").write_text((folder / ".gitignore").read_text() + "\n.env\n")
    application = folder / "library" / "__init__.py"
    application.write_text(application.read_text().replace("\n    return app\n", HOOKS))
    loans = folder / "library" / "loans.py"
    source = (
        f'KEY = "{CANARIES["the source, with a form of its own"]}"  # and {CANARIES["a .env file"]}\nLOAN_DAYS = 28\n'
    )
    loans.write_text(loans.read_text().replace("LOAN_DAYS = 28\n", source))
    description = folder / "perfcrew.toml"
    text = description.read_text()
    text = text.replace("\n[database]\n", f"{DESCRIPTION}\n[database]\n", 1)
    path = 'path = "/api/branches/{branch}/overdue?limit=40"\n'
    text = text.replace(path, f"{path}{HEADERS}\n", 1)
    text = text.replace("branch = [1, 2, 3, 4]\n", f'branch = [1, 2, 3, 4]\ntoken = ["{CANARIES["a parameter"]}"]\n', 1)
    description.write_text(text.replace("\n[[goal]]", f"{PROBE}\n[[goal]]", 1))


@pytest.mark.app
@pytest.mark.demo
async def test_nothing_that_a_run_writes_sends_or_says_holds_a_secret(tmp_path: Path) -> None:
    repo, home = tmp_path / "library", tmp_path / "home"
    plant(repo)
    for line in ("init --quiet --initial-branch=main", "add --all", "commit --quiet -m First"):
        assert (await process.run(["git", *line.split()], cwd=repo, environment=VARIABLES, timeout=60)).ok
    with ScriptedEndpoint(LibraryScript((BATCH,))) as endpoint:
        environment = {
            **VARIABLES, "PERFCREW_HOME": str(home), "PERFCREW_MODEL": "anthropic/scripted", "PERFCREW_MAX_ROUNDS": "1",
            "ANTHROPIC_BASE_URL": endpoint.base_url, "ANTHROPIC_API_KEY": CANARIES["our own key"],
            "AWS_SECRET_ACCESS_KEY": CANARIES["our environment"],
        }  # fmt: skip
        command = [sys.executable, "-P", "-m", "perfcrew", "run", "--quick", "--json", str(tmp_path / "report.json")]
        done = await process.run([*command, str(repo)], cwd=tmp_path, environment=environment, timeout=900)
        assert done.code in (0, 1), done.err
        assert endpoint.refused == []
        sent = [request.raw.encode() for request in endpoint.requests]
    assert len(sent) > 5
    written = dict(contents(home))
    # The searched files are those of a run that measured, patched and judged.
    kinds = {name.rpartition("/")[2] for name in written}
    assert {"journal.jsonl", "checkpoints.sqlite", "report.json", "run.json"} <= kinds
    assert any(b"[redacted]" in content for name, content in written.items() if "/logs/" in name), (
        "the log was shown some"
    )
    searched = {**written, "prompts": b"\n".join(sent), "screen": (done.out + done.err).encode()}
    searched["report"] = (tmp_path / "report.json").read_bytes()
    found = {
        f"{what} in {name}"
        for name, content in searched.items()
        for what, canary in CANARIES.items()
        if canary.encode() in content
    }
    assert found == set()
    # The model saw the source around them.
    assert b"LOAN_DAYS = 28" in searched["prompts"]


def contents(home: Path) -> Iterator[tuple[str, bytes]]:
    """Every file that is not a copy of the target, unpacked where it is packed."""
    for path in sorted(home.rglob("*")):
        inside = path.relative_to(home).parts
        if path.is_file() and not path.is_symlink() and not any(part in COPIES for part in inside[:-1]):
            content = path.read_bytes()
            if content.startswith(b"\x1f\x8b"):
                content = gzip.decompress(content)
            elif content.startswith(b"x\x9c"):
                content = zlib.decompress(content)
            yield "/" + path.relative_to(home).as_posix(), content
