"""The settings as the rest of the program reads them. Mappings hold only keys that were set."""

import os
from collections.abc import Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass

NO_TOPOLOGY = "none"


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
    topology: str = NO_TOPOLOGY
    """A `topology.conf`: nodes are asked through its gateways, by ClusterShell's tree mode. `none`: directly."""
    gateway_python: str = "python3"
    """On gateways: one that has ClusterShell."""
    control_persist_s: float | None = field(default_factory=lambda: None if os.geteuid() == 0 else 60.0)
    """How long ssh keeps a connection for the next call. None: not at all; so it is for root who does not ask for it,
    because an open connection is a login to every node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """The policy's name and changes to it; weights that are not set stay the policy's own."""

    name: str = "least"
    """`auto`: the one that was chosen (docs/design/auto.md); so too `queue`."""
    queue: str = "priority"
    """The order of the waiting list."""
    weights: Mapping[str, float] = field(default_factory=dict)
    max_age_s: float | None = None
    shortlist_age_s: float | None = 120.0
    """Where few of many nodes are needed, answers up to this age decide which are asked; None: all are asked."""
    suspect_after: int | None = 3
    """Number of unanswered probes in a row that make a node suspect; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """The order of jobs that wait."""

    fair_share: float = 1.0
    """Points for an account that has used nothing lately: as many as for a wait as long as the job itself. 0: none."""
    half_life_s: float = 7 * 86_400.0
    """After this time, use counts half."""


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
class PriceSettings:
    """The prices of `report`; None: no price, which is not 0. `NodeFacts` has those of some nodes."""

    currency: str = ""
    cpu_hour: float | None = None
    gpu_hour: float | None = None


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
    price_cpu_hour: float | None = None
    price_gpu_hour: float | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSettings:
    """A program of the site. `here`: its text lies on this host. `there`: its path on the nodes."""

    here: str = ""
    there: str = ""
    arguments: tuple[str, ...] = ()
    timeout_s: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings:
    """One `[index.NAME]`. Its value comes from `program`, from the check `check`, or from the entry point `probe`."""

    name: str
    program: ProgramSettings | None = None
    check: str = ""
    probe: str = ""
    field: str = ""
    """The name by which the value is printed."""
    unit: str = "number"
    help: str = ""
    busy_above: float | None = None
    busy_below: float | None = None
    has_column: bool = True
    timeout_s: int = 2
    """For `probe`."""
    origin: str

    @property
    def place(self) -> str:
        """Its place, for messages."""
        return f"{self.origin}: `[index.{self.name}]`"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """One `[check.NAME]`."""

    name: str
    program: ProgramSettings
    origin: str

    @property
    def place(self) -> str:
        """Its place, for messages."""
        return f"{self.origin}: `[check.{self.name}]`"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginTables:
    """The plug-ins of one file, or of all: by name, where the stronger file's table replaces the other as a whole."""

    indices: Mapping[str, IndexSettings] = field(default_factory=dict)
    checks: Mapping[str, CheckSettings] = field(default_factory=dict)

    def over(self, weaker: "PluginTables") -> "PluginTables":
        """These tables over those of a weaker file."""
        return PluginTables(indices={**weaker.indices, **self.indices}, checks={**weaker.checks, **self.checks})


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPoints:
    """The entry points of installed Python packages that may be loaded, by name."""

    scorers: Mapping[str, float] = field(default_factory=dict)
    """With weights, as in `[policy.weights]`."""
    filters: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    notifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings. `origins` gives the source of every key: a file, a variable, or `default`."""

    ssh: SshSettings = SshSettings()
    policy: PolicySettings = field(default_factory=PolicySettings)
    queue: QueueSettings = QueueSettings()
    gpus: GpuSettings = GpuSettings()
    slurm: SlurmSettings = SlurmSettings()
    engines: Mapping[str, str] = field(default_factory=dict)
    """The engine that runs the jobs of a group, by group."""
    shell: ShellSettings = ShellSettings()
    top_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The keys of actions of `top`, where they are others (`policy/top/rebind.py`)."""
    prices: PriceSettings = PriceSettings()
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """By the keys of `[thresholds]`; None: switched off, whatever the default is."""
    rebalance: Mapping[str, float | bool | None] = field(default_factory=dict)
    """By the keys of `[rebalance]`; None: switched off, whatever the default is."""
    groups_conf: str | None = None
    nodes: tuple[NodeFacts, ...] = ()
    """In the order in which they apply: later entries win."""
    groups: tuple[GroupPolicy, ...] = ()
    """Likewise: later entries win."""
    plugins: PluginTables = field(default_factory=PluginTables)
    entry_points: EntryPoints = field(default_factory=EntryPoints)
    origins: Mapping[str, str] = field(default_factory=dict)
