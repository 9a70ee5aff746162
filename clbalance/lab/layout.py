"""Where things lie in a lab, and what a node's init is told. Standard library only, light to import."""

import json
from dataclasses import asdict
from pathlib import Path

from clbalance.lab.namespaces import Isolation
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """One node's folder; the controller writes `node.json` and `load.json`, the node's init `proc` and `run`."""

    path: Path

    @property
    def name(self) -> str:
        """The node's name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """A `NodeConfig`, read at boot."""
        return self.path / "node.json"

    @property
    def order(self) -> Path:
        """An `Order`, read at boot and on SIGHUP."""
        return self.path / "load.json"

    @property
    def proc(self) -> Path:
        """What CLBALANCE_PROCFS points to on the node."""
        return self.path / "proc"

    @property
    def tmp(self) -> Path:
        """TMPDIR on the node; emptied by a boot."""
        return self.path / "tmp"

    @property
    def var(self) -> Path:
        """CLBALANCE_NODE_DIR on the node; outlives a boot."""
        return self.path / "var"

    @property
    def bin(self) -> Path:
        """First on the node's PATH."""
        return self.path / "bin"

    @property
    def gpu(self) -> Path:
        """The tables that the node's `nvidia-smi` prints, and its fault switches."""
        return self.path / "gpu"

    @property
    def capabilities(self) -> Path:
        """Where the driver shows MIG instances."""
        return self.proc / "driver/nvidia/capabilities"

    @property
    def ssh(self) -> Path:
        """Host keys and sshd_config."""
        return self.path / "ssh"

    @property
    def other_host_key(self) -> Path:
        """A key that no known_hosts has."""
        return self.ssh / "other_host_key"

    @property
    def sshd_log(self) -> Path:
        """What sshd says."""
        return self.path / "log" / "sshd.log"

    @property
    def init_log(self) -> Path:
        """Standard output and error of the init; empty unless something is wrong."""
        return self.path / "log" / "init.log"

    @property
    def init(self) -> Path:
        """The init's `ProcessId`, as the host counts pids."""
        return self.path / "run" / "init.json"

    @property
    def applied(self) -> Path:
        """The number of the last `Order` that `proc` shows."""
        return self.path / "run" / "applied"

    @property
    def sshd_pid(self) -> Path:
        """Written by sshd once it listens."""
        return self.path / "run" / "sshd.pid"

    def home(self, user: str) -> Path:
        """A user's home folder on this node."""
        return self.path / "home" / user


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """What a node is made of."""

    cpus: int
    mem_bytes: int
    swap_bytes: int
    isolation: Isolation
    sshd: str
    binds: tuple[tuple[str, str], ...] = ()
    """Files of the lab and the system's files that they stand in for."""

    def to_json(self) -> str:
        """The text of `node.json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "NodeConfig":
        """The inverse of `to_json`."""
        raw = json.loads(text)
        isolation = Isolation(raw.pop("isolation"))
        binds = tuple((source, target) for source, target in raw.pop("binds"))
        return cls(**raw, isolation=isolation, binds=binds)


def replace_file(path: Path, text: str) -> None:
    """Write `path` whole or not at all: who reads it meanwhile sees the old text."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)
