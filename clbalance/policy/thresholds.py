"""The limits past which a node takes no more work, and which of them a node is past.

Enters: a load. Leaves: its breaches, in the order of `LIMITS`. An index that has a limit and is not known is
a breach too, for unknown is never idle; an index without a limit is not looked at.
"""

from collections.abc import Callable, Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Unknown
from clbalance.policy import indices
from clbalance.policy.effective import Load


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a node may be loaded with and still take work; None: not looked at.

    `r1m_per_cpu` is held against the effective run queue over the online cpus, without the cpu factor: it
    says whether the cpus are taken, not how fast they are.
    """

    r1m_per_cpu: float | None = 1.0
    mem_available_pct: float | None = 5.0
    ut_pct: float | None = None
    tmp_free_pct: float | None = None
    psi_cpu_pct: float | None = None
    psi_mem_pct: float | None = None
    psi_io_pct: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A limit that a node is past or, where `known` is False, cannot be told to keep.

    `index` is the load index's short name (LSF's where it has one), `reason` groups nodes in a histogram.
    """

    index: str
    reason: str
    detail: str
    known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """How one field of `Thresholds` is held against a load: from below where `is_floor`, else from above."""

    index: str
    words: str
    bound: Callable[[Thresholds], float | None]
    read: Callable[[Load], float | Unknown]
    is_floor: bool = False
    form: str = "{:g}%"
    unit: str = "%"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLimit:
    """A limit that somebody set."""

    limit: Limit
    bound: float


LIMITS: tuple[Limit, ...] = (
    Limit(
        index="r1m",
        words="load",
        bound=lambda set_to: set_to.r1m_per_cpu,
        read=indices.run_queue_per_cpu,
        form="{:.2f}",
        unit=" per cpu",
    ),
    Limit(
        index="mem",
        words="available memory",
        bound=lambda set_to: set_to.mem_available_pct,
        read=indices.mem_available_pct,
        is_floor=True,
    ),
    Limit(index="ut", words="cpu use", bound=lambda set_to: set_to.ut_pct, read=indices.ut_pct),
    Limit(
        index="tmp",
        words="free tmp",
        bound=lambda set_to: set_to.tmp_free_pct,
        read=indices.tmp_free_pct,
        is_floor=True,
    ),
    Limit(
        index="psi_cpu",
        words="cpu pressure",
        bound=lambda set_to: set_to.psi_cpu_pct,
        read=indices.psi_cpu_pct,
    ),
    Limit(
        index="psi_mem",
        words="memory pressure",
        bound=lambda set_to: set_to.psi_mem_pct,
        read=indices.psi_mem_pct,
    ),
    Limit(index="psi_io", words="io pressure", bound=lambda set_to: set_to.psi_io_pct, read=indices.psi_io_pct),
)


def limits_of(thresholds: Thresholds) -> tuple[SetLimit, ...]:
    """The limits that are set, looked up once for many nodes."""
    return tuple(
        SetLimit(limit=limit, bound=bound) for limit in LIMITS if (bound := limit.bound(thresholds)) is not None
    )


def breaches(load: Load, limits: Iterable[SetLimit]) -> list[Breach]:
    """Every limit that the node is past, or that cannot be told to hold."""
    found: list[Breach] = []
    for held in limits:
        value = held.limit.read(load)
        if isinstance(value, Unknown):
            found.append(_unknown(held.limit, value))
        elif value < held.bound if held.limit.is_floor else value > held.bound:
            found.append(_past(held, value))
    return found


def _unknown(limit: Limit, unknown: Unknown) -> Breach:
    reason = f"{limit.words} unknown"
    return Breach(index=limit.index, reason=reason, detail=f"{reason}: {unknown.why}", known=False)


def _past(held: SetLimit, value: float) -> Breach:
    limit = held.limit
    side = "below" if limit.is_floor else "above"
    return Breach(
        index=limit.index,
        reason=f"{limit.words} {side} {limit.form.format(held.bound)}",
        detail=f"{limit.words} is {value:.4g}{limit.unit}",
    )
