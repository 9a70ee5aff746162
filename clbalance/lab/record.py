"""The record of a lab, `lab.json`. It is written before all other files, so a lab can be taken down in any state."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lab.config_files import Listener, session_environment
from clbalance.lab.layout import NodeFolder, replace_file
from clbalance.lab.namespaces import Isolation
from clbalance.lab.node import LabNode
from clbalance.lab.spec import LabSpec, LabUser
from clbalance.lab.start import RECORD
from clbalance.lazy_dataclass import dataclass

_SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A lab's spec, with the decisions that the spec leaves open."""

    spec: LabSpec
    isolation: Isolation
    network: str
    """The first three octets of the nodes' addresses."""
    user: str
    sshd: str
    sshd_version: tuple[int, int]

    def write(self, directory: Path) -> None:
        """Save to `directory`."""
        replace_file(directory / RECORD, json.dumps({"schema": _SCHEMA, **asdict(self)}, indent=1))

    @classmethod
    def read(cls, directory: Path) -> "Record":
        """Read what `write` saved, or raise `LabError`."""
        try:
            raw = json.loads((directory / RECORD).read_text())
            schema = raw.pop("schema")
        except FileNotFoundError:
            raise LabError(f"no lab is up in {directory}", hint="`clbalance lab up 8`, or `--dir`") from None
        if schema != _SCHEMA:
            raise LabError(
                f"{directory} holds a lab of another version of clbalance", hint="take it down with that version"
            )
        spec = raw.pop("spec")
        isolation = Isolation(raw.pop("isolation"))
        users = tuple(LabUser(**user) for user in spec.pop("users"))
        wanted = spec.pop("isolation")
        return cls(
            spec=LabSpec(**spec, users=users, isolation=None if wanted is None else Isolation(wanted)),
            isolation=isolation,
            sshd_version=tuple(raw.pop("sshd_version")),
            **raw,
        )

    def addresses(self) -> Mapping[str, str]:
        """Node name to address."""
        return {name: f"{self.network}.{last}" for last, name in enumerate(self.spec.node_names(), start=1)}

    def nodes(self, directory: Path, tie: int | None) -> tuple[LabNode, ...]:
        """Handles on all nodes."""
        gpu_nodes = self.spec.groups()["gpu-nodes"] if self.spec.gpus else ()
        return tuple(
            LabNode(
                listener=self._listener(directory, NodeFolder(directory / name), address),
                isolation=self.isolation,
                gpus=self.spec.gpus if name in gpu_nodes else 0,
                tie=tie,
            )
            for name, address in self.addresses().items()
        )

    def _listener(self, directory: Path, folder: NodeFolder, address: str) -> Listener:
        environment = session_environment(folder)
        if self.isolation is Isolation.SUBREAPER:
            # With namespaces, the node's own passwd gives each user a home.
            environment["HOME"] = str(folder.home(self.user))
        return Listener(
            folder=folder,
            address=address,
            host_key=folder.ssh / "host_key",
            keys=directory / "keys",
            max_startups=self.spec.max_startups,
            version=self.sshd_version,
            environment=environment,
            overrides={},
        )
