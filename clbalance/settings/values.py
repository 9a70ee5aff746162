"""The settings as the rest of the program sees them. Only what was set is in the mappings."""

from collections.abc import Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """How nodes are reached."""

    options: str = ""
    """Put before ssh's own, as typed after `-o`: `-o Port=2222 -i key`."""
    user: str | None = None
    connect_timeout_s: float = 10.0
    probe_timeout_s: float = 5.0
    """For a probe's answer, once connected."""
    fanout: int = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySettings:
    """Which policy, and what was changed about it; weights that were not set are the policy's own."""

    name: str = "least"
    weights: Mapping[str, float] = field(default_factory=dict)
    max_age_s: float | None = None
    suspect_after: int | None = 3
    """So many probes in a row that a node did not answer make it suspect; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPolicy:
    """How work for one group is placed, where that is not as everywhere."""

    group: str
    name: str | None = None
    """None: the policy that applies elsewhere."""
    weights: Mapping[str, float] = field(default_factory=dict)
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """What cannot be measured of the nodes in `node_set`, an expression as after `-w`."""

    node_set: str
    cpu_factor: float | None = None
    slots: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[str, ...] = ()
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything configured. `origins` tells for every key whence it came: a file, a variable, or `default`."""

    ssh: SshSettings = SshSettings()
    policy: PolicySettings = field(default_factory=PolicySettings)
    thresholds: Mapping[str, float | None] = field(default_factory=dict)
    """By the names of `policy.Thresholds`; None: switched off, whatever the default."""
    rebalance: Mapping[str, float | bool | None] = field(default_factory=dict)
    """By the names of `[rebalance]`; None: switched off, whatever the default."""
    groups_conf: str | None = None
    nodes: tuple[NodeFacts, ...] = ()
    """In the order in which they apply: what comes later wins."""
    groups: tuple[GroupPolicy, ...] = ()
    """Likewise."""
    origins: Mapping[str, str] = field(default_factory=dict)
