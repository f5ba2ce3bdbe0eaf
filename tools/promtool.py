"""Prometheus' own checker of rules, where it is installed."""

import shutil
import tempfile
from pathlib import Path

from tools.process import run

MISSING = "promtool is not installed (Debian: apt-get install prometheus), so only the form of the rules was checked"
TIMEOUT_S = 30.0


async def check_rules(text: str) -> list[str] | None:
    """What promtool says is wrong with a file of rules: nothing where it accepts them, None where it is missing."""
    program = shutil.which("promtool")
    if program is None:
        return None
    with tempfile.TemporaryDirectory(prefix="perfcrew-rules-") as folder:
        file = Path(folder) / "rules.yml"
        file.write_text(text, encoding="utf-8")
        done = await run([program, "check", "rules", str(file)], cwd=Path(folder), environment={}, timeout=TIMEOUT_S)
    if done.ok:
        return []
    lines = [line.strip().replace(str(file), file.name) for line in (done.out + done.err).splitlines()]
    return [line for line in lines if line and not line.startswith(("Checking", "FAILED"))] or ["refused"]
