"""A bug, told in one line, with a file that holds the traceback."""

import tempfile
import traceback
from pathlib import Path


def confess(error: Exception) -> str:
    """Write the traceback to a file; the line that tells it."""
    file = Path(tempfile.mkdtemp(prefix="perfcrew-")) / "traceback.txt"
    file.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
    first = (str(error).strip().splitlines() or [""])[0][:200]
    return f"unexpected {type(error).__name__}: {first} (traceback: {file})"
