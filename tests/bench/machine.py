"""What the figures were taken on."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def machine() -> dict[str, str]:
    """Names and versions, the load at this moment, and when it was."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": f"{len(os.sched_getaffinity(0))} of {_cpu_model()}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssh": _openssh(),
        "clbalance": version("clbalance"),
        "clustershell": version("ClusterShell"),
        "load": " ".join(f"{average:.1f}" for average in os.getloadavg()),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _openssh() -> str:
    message = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False)
    return message.stderr.partition(",")[0].strip()
