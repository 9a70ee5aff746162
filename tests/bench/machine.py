"""What the figures were taken on. No name of the machine, no folder of it."""

import os
import platform
import subprocess
from pathlib import Path

import clbalance

from .programs import ROOT


def machine() -> dict[str, str]:
    """What was measured, on what, and the load at this moment."""
    return {
        "clbalance": f"{clbalance.__version__}, commit {_commit()}",
        "cpu": f"{len(os.sched_getaffinity(0))} cores, {_cpu_model()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": load(),
    }


def load() -> str:
    """The load averages of 1, 5 and 15 minutes."""
    return " ".join(f"{average:.1f}" for average in os.getloadavg())


def _commit() -> str:
    """Of the tree that this file lies in; `+` where files differ from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        at = subprocess.run([*git, "rev-parse", "--short=10", "HEAD"], capture_output=True, text=True, check=True)
        differs = subprocess.run([*git, "diff", "--quiet", "HEAD"], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return at.stdout.strip() + ("+" if differs else "")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
