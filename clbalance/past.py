"""What is remembered of nodes over time, to be drawn: values. Keys carry units; `name` is what people type."""

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One number of a node, or of each of its GPUs."""

    name: str
    """LSF's, where there is one."""
    key: str
    """With its unit: as in JSON, and as the column where it is kept."""
    percent: bool = True
    """Between 0 and 100; otherwise from 0 to whatever there is."""


NODE_INDICES: Final = (
    Index(name="r1m", key="r1m_per_cpu", percent=False),
    Index(name="load", key="load_per_cpu", percent=False),  # r1m with what was promised and does not show in it yet
    Index(name="ut", key="ut_pct"),
    Index(name="mem", key="mem_available_pct"),
    Index(name="psi_cpu", key="psi_cpu_pct"),
    Index(name="psi_mem", key="psi_mem_pct"),
    Index(name="psi_io", key="psi_io_pct"),
    Index(name="tmp", key="tmp_free_pct"),
    Index(name="leases", key="leases", percent=False),
)
GPU_INDICES: Final = (Index(name="gut", key="use_pct"), Index(name="gmem", key="mem_pct"))
ANSWERS: Final = Index(name="up", key="answered_pct")
"""How many of the times that the node was asked it answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastLook:
    """What one sweep saw of one node, by the keys of `NODE_INDICES`; what was not known is left out."""

    answered: bool
    values: Mapping[str, float] = field(default_factory=dict)
    gpus: tuple[Mapping[str, float], ...] = ()
    """In the order in which the node lists them, by the keys of `GPU_INDICES`."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One index over a span: `mean` of the looks, or of the means of shorter spans."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPoint:
    """What the looks at one node in `span_s` seconds from `at_s` (since 1970) come to."""

    at_s: int
    span_s: int
    asked: int
    """How many times the node was asked, at least 1."""
    silent: int
    """How many of those it did not answer."""
    values: Mapping[str, Figure] = field(default_factory=dict)
    gpus: Mapping[int, Mapping[str, Figure]] = field(default_factory=dict)
