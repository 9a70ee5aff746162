"""The settings as the rest of the program reads them. Mappings hold only keys that were set."""

import os
from collections.abc import Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How to connect to nodes."""

    options: str = ""
    """Options for ssh, put before our own: `-o Port=2222 -i key`."""
    path: str = "ssh"
    """The program, with arguments if it has any: `sshpass -e ssh`."""
    user: str | None = None
    connect_timeout_s: float = 10.0
    probe_timeout_s: float = 5.0
    """Time for a probe's answer after the connection is made."""
    fanout: int = 64
    control_persist_s: float | None = field(default_factory=lambda: None if os.geteuid() == 0 else 60.0)
    """How long ssh keeps a connection for the next call. None: not at all; so it is for root who does not ask for it,
    because an open connection is a login to every node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The policy's name and changes to it; weights that are not set stay the policy's own."""

    name: str = "least"
    weights: Mapping[str, float] = field(default_factory=dict)
    max_age_s: float | None = None
    shortlist_age_s: float | None = 120.0
    """Where few of many nodes are needed, answers up to this age decide which are asked; None: all are asked."""
    suspect_after: int | None = 3
    """Number of unanswered probes in a row that make a node suspect; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSettings:
    """What a job sees of the GPUs of its node if it asks for none."""

    hide: str = "leased"
    """The devices that are hidden: `leased` by others, also those `used` by others, or `never` any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings:
    """What is asked of Slurm."""

    nodes: bool = False
    """Whether it is asked which nodes it gives no jobs; those count as drained, or as unfit."""
    folder: str | None = None
    """Where the folders of jobs lie that it runs; None: in the state folder of the user's home."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """What `clbalance shell` asks about before it does it."""

    confirm: tuple[str, ...] = ("reboot", "shutdown", "poweroff", "halt", "mkfs", "wipefs", "dd", "rm -r")
    """Commands by their first word, and perhaps an option."""
    confirm_nodes: int | None = 100
    """Commands on more nodes than this; None: on any number nothing is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPolicy:
    """The policy for jobs of one group, if it differs from the general one."""

    group: str
    name: str | None = None
    """None: the general policy."""
    weights: Mapping[str, float] = field(default_factory=dict)
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """Facts that cannot be measured, of the nodes in `node_set` (an expression as after `-w`)."""

    node_set: str
    cpu_factor: float | None = None
    slots: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `origins` gives the source of every key: a file, a variable, or `default`."""

    ssh: SshSettings = SshSettings()
    policy: PolicySettings = field(default_factory=PolicySettings)
    gpus: GpuSettings = GpuSettings()
    slurm: SlurmSettings = SlurmSettings()
    engines: Mapping[str, str] = field(default_factory=dict)
    """The engine that runs the jobs of a group, by group."""
    shell: ShellSettings = ShellSettings()
    top_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of actions of `top`, where they are others (`policy/top/rebind.py`)."""
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """By the keys of `[thresholds]`; None: switched off, whatever the default is."""
    rebalance: Mapping[str, float | bool | None] = field(default_factory=dict)
    """By the keys of `[rebalance]`; None: switched off, whatever the default is."""
    groups_conf: str | None = None
    nodes: tuple[NodeFacts, ...] = ()
    """In the order in which they apply: later entries win."""
    groups: tuple[GroupPolicy, ...] = ()
    """Likewise: later entries win."""
    origins: Mapping[str, str] = field(default_factory=dict)
