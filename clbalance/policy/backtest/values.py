"""What is chosen among, by which rules, and what came of it."""

from datetime import datetime
from typing import Final, Literal, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.placement.policies import KINDS, Rule
from clbalance.policy.queue.queues import WAITING_LISTS

Subject: TypeAlias = Literal["queue", "placement"]
"""The order of the waiting list, or the policy of placement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """The policies that a choice is made from."""

    names: tuple[str, ...]
    default: str
    """While the history says too little."""
    reference: str
    """No policy may have a worse worst slowdown than this one."""
    reordering: frozenset[str] = frozenset()
    """Those by which jobs may pass the first one and delay it. Only the past says that none starves."""


_BEYOND_REPLAYS: Final = frozenset({"foresee", "risk"})
"""They weigh forecasts, or the history of load. A replay has neither, so it cannot tell how good they are."""

FIELDS: Final[dict[Subject, Field]] = {
    "queue": Field(
        names=tuple(WAITING_LISTS),
        default="priority",
        reference="easy",
        reordering=frozenset(name for name, queue in WAITING_LISTS.items() if queue.order is not None),
    ),
    "placement": Field(
        # Those that draw or rotate are baselines, except the one that compares two drawn nodes.
        names=tuple(
            name
            for name, kind in KINDS.items()
            if kind.rule in {Rule.BEST, Rule.TWO_CHOICES} and name not in _BEYOND_REPLAYS
        ),
        default="least",
        reference="least",
    ),
}


@dataclass(frozen=True, slots=True)
class DayFigures:
    """The bounded slowdowns of the jobs that were submitted `age` days before the end of the history."""

    age: int
    jobs: int
    sum: float
    worst: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """One policy's replay of the history: the days with jobs, the oldest first, and how many jobs it started."""

    policy: str
    days: tuple[DayFigures, ...]
    started: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One policy in a choice."""

    policy: str
    slowdown: float | None
    """The mean, in which recent days count more; None: it started no job that ends."""
    worst: float
    started: int
    out: str = ""
    """Why it does not pass the gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A policy that was chosen, and why."""

    subject: Subject
    policy: str
    before: str
    """The policy until then."""
    at: datetime
    reason: str
    days: int = 0
    """With jobs, in the history."""
    jobs: int = 0
    margin_pct: float | None = None
    """How much less slowdown the best policy had than the one before; if that is best or out, than the second best."""
    noise_pct: float | None = None
    """Two standard errors of the margin: a smaller one changes nothing."""
    evidence: tuple[Evidence, ...] = ()
    """The best first; those that are out last."""
