"""What is remembered of nodes over time, and of their failures in a row. Values; keys carry units."""

from collections.abc import Mapping
from dataclasses import field

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSample:
    """What one sweep saw of one node, by the keys of `policy.indices.HISTORY`; what was not known is left out."""

    answered: bool
    values: Mapping[str, float] = field(default_factory=dict)
    gpus: tuple[Mapping[str, float], ...] = ()
    """In the order in which the node lists them, by the keys of `policy.indices.GPU_SERIES`."""


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One index over a span: `mean` of the looks, or of the means of shorter spans."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPoint:
    """What the looks at one node in `span_s` seconds from `at_s` (since 1970) come to."""

    at_s: int
    span_s: int
    asked: int
    """How many times the node was asked, at least 1."""
    silent: int
    """How many of those it did not answer."""
    values: Mapping[str, Aggregate] = field(default_factory=dict)
    gpus: Mapping[int, Mapping[str, Aggregate]] = field(default_factory=dict)


# What was seen of a node several times in a row, from this host. Values; no input or output.


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureStreak:
    """What was seen of a node several times in a row, from this host."""

    silent: int = 0
    """Sweeps that it did not answer, up to the last one."""
    answered: int = 0
    """Sweeps that it has answered since it became suspect."""
    suspect: bool = False
    over: int = 0
    """Runs of `rebalance` in which it was over."""
    silent_at_s: float = 0.0
    """When it was last counted as silent; seconds since 1970."""
