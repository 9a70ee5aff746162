"""A whole lab: bring it up, find it, take it down; and the environment variables for programs that use it."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from clbalance.errors import LabError, NodeNameError
from clbalance.lab import build
from clbalance.lab import start as folders
from clbalance.lab.config_files import find_programs
from clbalance.lab.node import LabNode, boot_nodes
from clbalance.lab.processes import end_strays
from clbalance.lab.record import Record
from clbalance.lab.slurm import LabSlurm, find_slurm
from clbalance.lab.spec import LabSpec
from clbalance.lazy_dataclass import dataclass

_DEFAULT_SPEC = LabSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that was up when this was made. As a context manager it is taken down at the end."""

    directory: Path
    record: Record
    nodes: tuple[LabNode, ...]
    tie: int | None = None
    """Write end of a tied lab's pipe. The nodes end when the last process that has it open ends."""

    @classmethod
    def up(cls, directory: Path, spec: LabSpec = _DEFAULT_SPEC) -> "Lab":
        """Bring up a lab in `directory`. If this fails, nothing of it is left."""
        programs = find_programs()
        of_slurm = find_slurm() if spec.slurm else {}
        directory = folders.absolute(directory)
        record = build.settle(spec, programs)
        # Other users must reach their homes and keys, but need not list the folder.
        folders.make(directory, mode=0o711 if spec.users else 0o700)
        record.write(directory)
        read_end, write_end = os.pipe() if spec.tied else (None, None)
        lab = cls(directory=directory, record=record, nodes=record.nodes(directory, read_end), tie=write_end)
        try:
            slurm = lab.slurm
            names = [node.name for node in lab.nodes]
            services = {name: slurm.services(name, of_slurm) for name in names} if slurm else {}
            build.lay_out(directory, record, programs, lab.nodes, services)
            if slurm:
                slurm.lay_out()
            boot_nodes(lab.nodes)
            if slurm:
                slurm.await_idle()
        except BaseException:
            lab.down()
            raise
        return lab

    @classmethod
    def find(cls, directory: Path) -> "Lab":
        """The lab in `directory`; `LabError` if there is none."""
        directory = folders.absolute(directory)
        if not folders.is_lab(directory):
            raise LabError(f"no lab is up in {directory}", hint="`clbalance lab up 8`, or name it with `--dir`")
        record = Record.read(directory)
        return cls(directory=directory, record=record, nodes=record.nodes(directory, None))

    def down(self) -> None:
        """End all processes and remove all files. May be called again."""
        for node in self.nodes:
            node.kill()
        end_strays(self.directory)
        if folders.is_lab(self.directory):
            folders.remove(self.directory)
        for end in (self.tie, self.nodes[0].tie):
            if end is not None:
                with suppress(OSError):  # closed by an earlier call
                    os.close(end)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.down()

    def node(self, name: str) -> LabNode:
        """The node of that name, or `NodeNameError`."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise NodeNameError(f"the lab has no node `{name}`", hint=f"`{self.nodes[0].name}` to `{self.nodes[-1].name}`")

    def processes(self, name: str) -> list[int]:
        """The host's pids of all processes of a node."""
        return self.node(name).processes()

    @property
    def ssh_config(self) -> Path:
        """For `ssh -F`."""
        return self.directory / "ssh_config"

    @property
    def ssh_options(self) -> str:
        """Options for clush's `-o`."""
        return f"-F {self.ssh_config}"

    @property
    def groups_conf(self) -> Path:
        """The lab's groups: all, cpu, gpu-nodes, rack1, rack2; with Slurm also batch."""
        return self.directory / "clustershell" / "groups.conf"

    @property
    def topology(self) -> Path | None:
        """For `--topology`, if some nodes are gateways."""
        return self.directory / "topology.conf" if self.record.spec.gateways else None

    @property
    def slurm(self) -> LabSlurm | None:
        """Its Slurm, if it has one."""
        return LabSlurm.of(self.directory, self.record)

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """Environment variables that make clbalance, clush, ssh and scp use this lab. PATH extends that of `base`."""
        own_bin = str(self.directory / "bin")
        path = [part for part in base.get("PATH", os.defpath).split(":") if part != own_bin]
        slurm = {"SLURM_CONF": str(self.slurm.config)} if self.slurm else {}
        gateways = {"CLBALANCE_GATEWAY_PYTHON": sys.executable} if self.topology else {}  # this one has ClusterShell
        return {
            **slurm,
            **gateways,
            "CLBALANCE_LAB_DIR": str(self.directory),
            "CLBALANCE_SSH_OPTIONS": self.ssh_options,
            "CLBALANCE_GROUPS_CONF": str(self.groups_conf),
            "CLBALANCE_STATE_DIR": str(self.directory / "state"),
            "CLUSTERSHELL_CFGDIR": str(self.groups_conf.parent),
            "PATH": ":".join([own_bin, *path]),
        }


def take_down(directory: Path) -> bool:
    """End the lab in `directory`, whatever state it is in; False if there is none."""
    directory = folders.absolute(directory)
    if not folders.is_lab(directory):
        return False
    Lab.find(directory).down()
    return True
