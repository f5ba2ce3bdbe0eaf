"""What machine this is. Measurements of different machines or settings never compare."""

import hashlib
import json
import platform
from pathlib import Path

import psutil


def describe_machine() -> dict[str, str]:
    """What distinguishes measurements: processor, cores, memory, system, interpreter."""
    return {
        "processor": _processor(),
        "cores": str(psutil.cpu_count() or 1),
        "memory_gib": str(round(psutil.virtual_memory().total / 2**30)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def machine_digest(machine: dict[str, str], quick: bool) -> str:
    """A short digest of the machine and of the settings that change what a measurement means."""
    content = json.dumps({**machine, "quick": quick}, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
