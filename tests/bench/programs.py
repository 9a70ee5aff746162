"""The peers: where each comes from, which version is here, and why one is not."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from clbalance.lab.config_files import SYSTEM_PATH

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / ".venv-bench"
"""Made by `scripts/setup bench`, from the list in peers/requirements.txt."""

_OF_OURS = {"clush": "ClusterShell"}
"""In the environment of clbalance, which needs it."""
_FROM_PYPI = {
    "Ansible": "ansible-core",
    "asyncssh": "asyncssh",
    "HyperQueue": "hyperqueue",
    "parallel-ssh": "parallel-ssh",
    "textual": "textual",
}
_FROM_DEBIAN = {
    "GNU parallel": ("parallel", ("parallel", "--version")),
    "pdsh": ("pdsh", ("pdsh", "-V")),
    "rsync": ("rsync", ("rsync", "--version")),
    "Slurm": ("slurm-wlm", ("slurmctld", "-V")),
    "ssh": ("openssh-client", ("ssh", "-V")),
    "scp": ("openssh-client", ("ssh", "-V")),
}
BOUND = "lower bound"
"""No program: what no program can be faster than."""
OTHER_WAY = "clbalance, serial"
"""Ours, asked in another way."""
SIMULATOR = "plain simulator"
"""peers/plain_simulator.py."""
_VERSION = re.compile(r"\d+(\.\d+)+(p\d+)?|\d{8}")


@dataclass(frozen=True, slots=True)
class Programs:
    """What is here, by version, and the reason for each that is not."""

    versions: Mapping[str, str]
    missing: Mapping[str, str]


def known_programs() -> set[str]:
    """All that a question may name."""
    return {*_OF_OURS, *_FROM_PYPI, *_FROM_DEBIAN, BOUND, OTHER_WAY, SIMULATOR}


def find_programs() -> Programs:
    """Asks each program for its version; starts nothing else."""
    versions = {name: version(package) for name, package in _OF_OURS.items()}
    from_pypi = _distributions(PEERS / "bin" / "python")
    missing: dict[str, str] = {}
    for name, package in _FROM_PYPI.items():
        if package in from_pypi:
            versions[name] = from_pypi[package]
        else:
            missing[name] = _why_not(package)
    for name, (package, asked) in _FROM_DEBIAN.items():
        if shutil.which(asked[0], path=SYSTEM_PATH) is None:
            missing[name] = f"not installed: `apt-get install {package}`"
        else:
            versions[name] = _version(asked)
    return Programs(versions, missing)


def _distributions(python: Path) -> dict[str, str]:
    """Name and version of all that is installed there."""
    told = "import json; from importlib.metadata import distributions as all"
    told += "; print(json.dumps({one.name.lower(): one.version for one in all()}))"
    try:
        done = subprocess.run([python, "-I", "-c", told], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _why_not(package: str) -> str:
    """What pip said when it was tried."""
    try:
        return f"pip: {(PEERS / f'missing-{package}').read_text().strip()}"
    except OSError:
        return "not installed: `scripts/setup bench`"


def _version(asked: Sequence[str]) -> str:
    done = subprocess.run(asked, env={"PATH": SYSTEM_PATH}, capture_output=True, text=True, check=False)
    found = _VERSION.search(done.stdout + done.stderr)
    return found[0] if found else "unknown"
