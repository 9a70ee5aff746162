"""Which sessions a long-lived process keeps open, closes and begins again (docs/design/kept-sessions.md). Pure.

Input: the sessions that are open, when each node was last asked, and which nodes have failed. Output: what to open and
close in the background, and what becomes of a node that is asked now. Times are those of the monotonic clock.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Final, TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.policy.placement.select import Rng

_NOT_MENDED_BY_WAITING: Final = frozenset(
    {Cause.AUTH, Cause.HOSTKEY_CHANGED, Cause.HOSTKEY_UNKNOWN, Cause.PENALISED, Cause.DNS, Cause.LOCAL, Cause.NO_SHELL}
)
"""A server counts failed logins, and may lock the user out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptLimits:
    """How many sessions there may be, for how long, and how soon a node that failed is tried again."""

    most: int = 512
    """That are open and not in use. Each takes a process of ssh here, and a login shell on the node."""
    idle_s: float = 600.0
    first_wait_s: float = 1.0
    most_wait_s: float = 8.0
    most_wait_unmended_s: float = 60.0
    """After failures that waiting does not mend."""


class Use(Enum):
    """What an open session is used for."""

    BEGINS = "begins"
    """In the background; it has not answered yet."""
    FREE = "free"
    TAKEN = "taken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Why a node failed last, how often in a row, and when it may be tried again."""

    cause: Cause
    reason: str
    times: int
    try_at_s: float

    @property
    def is_mended_by_waiting(self) -> bool:
        """Whether it is worth trying again by itself."""
        return self.cause not in _NOT_MENDED_BY_WAITING


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSessions:
    """What there is now."""

    uses: Mapping[NodeName, Use]
    """The open sessions."""
    asked_s: Mapping[NodeName, float]
    """When each node was last asked."""
    failed: Mapping[NodeName, Failed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Sessions to close, and sessions to begin in the background after that."""

    close: tuple[NodeName, ...]
    begin: tuple[NodeName, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeKept:
    """Use the session that is open, or begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginNew:
    """Begin a session and wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refuse:
    """Do not wait for the node: it has failed, and is tried again in the background."""

    failed: Failed


OnOpen: TypeAlias = TakeKept | BeginNew | Refuse


def on_open(failed: Failed | None, now_s: float, *, is_kept: bool) -> OnOpen:
    """What to do where a session with a node is asked for. It is not taken already.

    None is closed for it, however many there are: who asks more nodes than are kept, again and again, would close the
    one that is asked next.
    """
    if failed is not None and (failed.is_mended_by_waiting or now_s < failed.try_at_s):
        return Refuse(failed=failed)
    return TakeKept() if is_kept else BeginNew()


def changes(kept: KeptSessions, limits: KeptLimits, now_s: float) -> Changes:
    """What to close and to begin now. After that, nothing is left to do until time passes or something happens."""
    oldest_first = sorted(_closable(kept), key=lambda one: _age_key(kept, one))
    surplus = max(0, len(kept.uses) - limits.most)
    close = [node for at, node in enumerate(oldest_first) if at < surplus or not _is_wanted(kept, node, limits, now_s)]
    missing = [node for node in kept.asked_s if node not in kept.uses and _may_begin(kept, node, limits, now_s)]
    missing.sort(key=lambda one: _age_key(kept, one), reverse=True)
    places = max(0, limits.most - (len(kept.uses) - len(close)))
    return Changes(close=tuple(close), begin=tuple(missing[:places]))


def failed_again(
    before: Failed | None, cause: Cause, reason: str, *, limits: KeptLimits, now_s: float, rng: Rng
) -> Failed:
    """The failure of a node that has just failed; `before`: of the last time, if it has not worked since.

    The wait doubles up to its limit; up to a half of it is taken off at random.
    """
    times = 1 if before is None else before.times + 1
    failed = Failed(cause=cause, reason=reason, times=times, try_at_s=now_s)
    most_s = limits.most_wait_s if failed.is_mended_by_waiting else limits.most_wait_unmended_s
    wait_s = min(most_s, limits.first_wait_s * 2.0 ** min(times - 1, 32))
    return Failed(cause=cause, reason=reason, times=times, try_at_s=now_s + wait_s * (1.0 - 0.5 * rng.random()))


def _may_begin(kept: KeptSessions, node: NodeName, limits: KeptLimits, now_s: float) -> bool:
    failed = kept.failed.get(node)
    is_due = failed is None or (failed.is_mended_by_waiting and now_s >= failed.try_at_s)
    return is_due and _is_wanted(kept, node, limits, now_s)


def _is_wanted(kept: KeptSessions, node: NodeName, limits: KeptLimits, now_s: float) -> bool:
    return node in kept.asked_s and now_s - kept.asked_s[node] < limits.idle_s


def _closable(kept: KeptSessions) -> tuple[NodeName, ...]:
    return tuple(node for node, use in kept.uses.items() if use is not Use.TAKEN)


def _age_key(kept: KeptSessions, node: NodeName) -> tuple[float, NodeName]:
    return kept.asked_s.get(node, 0.0), node
