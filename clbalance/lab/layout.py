"""The paths in a lab, and the configuration of a node's init. Standard library only, quick to import."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, field
from pathlib import Path

from clbalance.lab.namespaces import Isolation
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """One node's folder. The controller writes `node.json` and `load.json`, the init writes `proc` and `run`."""

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
        """CLBALANCE_PROCFS on the node."""
        return self.path / "proc"

    @property
    def tmp(self) -> Path:
        """TMPDIR on the node; a boot empties it."""
        return self.path / "tmp"

    @property
    def var(self) -> Path:
        """CLBALANCE_NODE_DIR on the node; a boot keeps it."""
        return self.path / "var"

    @property
    def limits(self) -> Path:
        """CLBALANCE_LIMITS on the node; there is none unless somebody writes it."""
        return self.path / "limits.conf"

    @property
    def bin(self) -> Path:
        """The first folder on the node's PATH."""
        return self.path / "bin"

    @property
    def gpu(self) -> Path:
        """The tables printed by the node's `nvidia-smi`, and the switches for its faults."""
        return self.path / "gpu"

    @property
    def capabilities(self) -> Path:
        """The folder in which the driver lists MIG instances."""
        return self.proc / "driver/nvidia/capabilities"

    @property
    def ssh(self) -> Path:
        """Host keys and sshd_config."""
        return self.path / "ssh"

    @property
    def other_host_key(self) -> Path:
        """A host key that is in no known_hosts."""
        return self.ssh / "other_host_key"

    @property
    def sshd_log(self) -> Path:
        """sshd's log."""
        return self.path / "log" / "sshd.log"

    @property
    def init_log(self) -> Path:
        """Standard output and error of the init; empty if all is well."""
        return self.path / "log" / "init.log"

    @property
    def init(self) -> Path:
        """The init's `ProcessId`, with the host's pid."""
        return self.path / "run" / "init.json"

    @property
    def applied(self) -> Path:
        """The number of the `Order` that `proc` shows now."""
        return self.path / "run" / "applied"

    @property
    def sick(self) -> Path:
        """Exists if the node came back sick from a reboot."""
        return self.path / "run" / "sick"

    @property
    def sshd_pid(self) -> Path:
        """sshd's pid file, written once it listens."""
        return self.path / "run" / "sshd.pid"

    def home(self, user: str) -> Path:
        """A user's home on this node."""
        return self.path / "home" / user


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A program that the node's init starts at each boot, and ends with the node. `log`: the file of its output."""

    argv: tuple[str, ...]
    log: str
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """The configuration of one node."""

    cpus: int
    mem_bytes: int
    swap_bytes: int
    isolation: Isolation
    sshd: str
    sshd_options: tuple[str, ...] = ()
    binds: tuple[tuple[str, str], ...] = ()
    """Pairs: a file of the lab, and the system's file that it replaces."""
    services: tuple[Service, ...] = ()
    """In this order, after sshd."""

    def to_json(self) -> str:
        """The text of `node.json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "NodeConfig":
        """The inverse of `to_json`."""
        raw = json.loads(text)
        isolation = Isolation(raw.pop("isolation"))
        binds = tuple((source, target) for source, target in raw.pop("binds"))
        sshd_options = tuple(raw.pop("sshd_options", ()))
        services = tuple(Service(**(one | {"argv": tuple(one["argv"])})) for one in raw.pop("services", ()))
        return cls(**raw, isolation=isolation, sshd_options=sshd_options, binds=binds, services=services)


def replace_file(path: Path, text: str) -> None:
    """Write `path` atomically: a reader sees the old or the new text."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.replace(path)


def empty(directory: Path) -> None:
    """Remove what is in `directory`, without following links."""
    for entry in directory.iterdir():
        remove_entry(entry)


def remove_entry(entry: Path) -> None:
    """Remove a file, a link, or a folder with its content."""
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
