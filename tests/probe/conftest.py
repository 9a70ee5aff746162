"""A node for the probe: folders instead of /proc, /sys and /var/tmp, programs instead of nvidia-smi, and a shell."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clbalance.model import Reading
from clbalance.node import probe_script
from clbalance.probe.frame import Answered, Section, probe_request
from clbalance.probe.reading import parse_reading

from .answers import NONCE, heard

PROC = {
    "loadavg": "1.25 0.50 0.10 3/80 11206\n",
    "uptime": "2524.95 4961.85\n",
    "stat": "cpu  100 0 50 800 40 0 10 0 0 0\n"
    "cpu0 50 0 25 400 20 0 5 0 0 0\ncpu1 50 0 25 400 20 0 5 0 0 0\n"
    f"intr 3894{' 0' * 50_000}\nctxt 12345\nbtime 1763776800\nprocs_running 2\nsoftirq 100 1 2 3\n",
    "meminfo": "MemTotal:       1000000 kB\nMemFree:  100000 kB\nMemAvailable:    600000 kB\nCached: 1 kB\n"
    "SwapCached: 0 kB\nSwapTotal:       2000 kB\nSwapFree:        1000 kB\nHugePages_Total:       0\n",
    "pressure/cpu": "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\n",
    "pressure/memory": "some avg10=0.25 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=1\n",
    "pressure/io": "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=1\n",
    "net/dev": "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop\n"
    "    lo:    3245      30    0    0    0     0          0         0     3245      30    0    0    0     0       0          0\n"
    "enp129s0f0np0: 1000    2276    0    0    0     0          0         0   500    1506    0    0    0     0       0          0\n",
    "diskstats": "   7       0 loop0 0 0 0 0 0 0 0 0 0 0 0\n   8       0 sda 10 0 20 5 10 0 40 5 0 5 10 0 0 0 0\n",
    "sys/kernel/random/boot_id": "518f4b64-bf6a-4c54-9224-61ba82540703\n",
    "cpuinfo": "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n\n"
    "processor\t: 1\nmodel name\t: another\n\n",
}
HOME = f"clbalance-{os.getuid()}"
LEASE = '{"v":1,"cpus":2,"mem_bytes":0,"gpus":[],"slots":1,"exclusive":false,"uptime_s":2500.5,"name":"train"}\n'


def drain_text(reason: str, *, by: str = "alice", asked_at: float | None = None, until: float | None = None) -> str:
    """What a drain mark says; with `asked_at` a proposal."""
    parsed = {"v": 1, "reason": reason, "by": by, "at": 1_764_000_000, "until": until}
    return json.dumps(parsed if asked_at is None else {**parsed, "asked_at": asked_at}) + "\n"


SHELLS = ("dash", "bash", "busybox")
PATIENT = probe_script().replace("limit=2\n", "limit=60\n")
"""It waits a minute for its parts, which on a busy machine may take more than two seconds. A hang is seen all the same."""
HURRIED_S = 6
HURRIED = probe_script().replace("limit=2\n", f"limit={HURRIED_S}\n")
"""Something hangs, and the rest is to answer meanwhile."""
assert probe_script() not in {PATIENT, HURRIED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What `sh -s` sees of a machine. `shell` is the argv of its /bin/sh."""

    root: Path
    shell: Sequence[str]
    env: dict[str, str] = field(default_factory=dict)
    script: str = PATIENT

    def program(self, name: str, text: str) -> None:
        """Puts a shell program ahead of the real one on PATH."""
        path = self.root / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def mark(self, path: str, text: str = "") -> Path:
        """A file in the node folder."""
        file = self.root / "var" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    @contextmanager
    def lease(self, path: str, text: str = LEASE) -> Iterator[Path]:
        """A lease that this process holds meanwhile."""
        file = self.mark(path, text)
        with file.open("r+") as held:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield file

    def says(self, text: bytes, *, argv: Sequence[str] | None = None) -> list[bytes]:
        """What the shell prints for this text on its standard input, once nothing holds its output any more."""
        done = subprocess.run(
            argv or [*self.shell, "-s"],
            input=text,
            capture_output=True,
            env=self.env,
            cwd=self.root,
            timeout=120,
            check=True,
        )
        assert done.stderr == b""
        return done.stdout.splitlines()

    def sections(self, script: str | None = None, *, before: bytes = b"", after: bytes = b"") -> Mapping[str, Section]:
        verdict = heard(self.says(before + probe_request(script or self.script, NONCE) + after))
        assert isinstance(verdict, Answered)
        return verdict.sections

    def reading(self, script: str | None = None) -> Reading:
        """What a probe reads; by a script with lower limits, a test need not make 100,000 files."""
        return parse_reading(self.sections(script))


def make_node(root: Path, shell: str) -> Node:
    for name, text in PROC.items():
        file = root / "proc" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for at, cpulist in enumerate(["0\n", "1\n", "\n"]):
        (root / f"sys/devices/system/node/node{at}").mkdir(parents=True)
        (root / f"sys/devices/system/node/node{at}/cpulist").write_text(cpulist)
    for folder in ("bin", "var", "tmp", "lib"):
        (root / folder).mkdir()
    found = shutil.which(shell)
    assert found is not None
    env = {
        "PATH": f"{root}/bin:{os.environ['PATH']}",
        "CLBALANCE_PROCFS": str(root / "proc"),
        "CLBALANCE_SYSFS": str(root / "sys"),
        "CLBALANCE_NODE_DIR": str(root / "var"),
        "CLBALANCE_ADMINS": str(root / "admins"),
        "CLBALANCE_LIMITS": str(root / "limits.conf"),
        "TMPDIR": str(root / "tmp"),
    }
    # Called `sh`, bash and busybox behave as a node's /bin/sh does.
    (root / "sh").symlink_to(found)
    return Node(root=root, shell=[str(root / "sh")], env=env)


@pytest.fixture(params=SHELLS)
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Node:
    """One node for each kind of /bin/sh."""
    return make_node(tmp_path, request.param)


@pytest.fixture
def dash_node(tmp_path: Path) -> Node:
    """For what does not depend on the shell."""
    return make_node(tmp_path, "dash")
