"""Put drain marks on nodes or remove them; drain only if enough other nodes stay available (docs/design/drain.md)."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from clbalance.engine.agent.protocol import AgentError, AgentEvent, Drained, Hello, Refused, Resumed, encode
from clbalance.engine.agent.sessions import Ask, ask_each
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.errors import Interrupted
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Proposal
from clbalance.policy.drain_progress import (
    AboveMinAvailable,
    BelowMinAvailable,
    Undecided,
    availability_of,
    decide_drain,
    drain_progress,
)
from clbalance.ports import Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """The result for one node. `uid` is our user id there, None if the node did not answer."""

    node: NodeName
    done: bool
    """Whether the node now has, or no longer has, the mark, as requested."""
    message: str = ""
    """Why it failed; or, if `done`, why nothing had to be changed."""
    uid: int | None = None


def mark(services: Services, nodes: Sequence[NodeName], request: bytes) -> tuple[Marked, ...]:
    """Send `request` (an encoded `drain` or `resume`) to all nodes. Silent nodes end at their deadline."""
    uids: dict[NodeName, int] = {}

    def react(node: NodeName, event: AgentEvent | Closed) -> Ask | Marked | None:
        match event:
            case Hello(uid=uid):
                uids[node] = uid
                return Ask(request=request)
            case Drained():
                return Marked(node=node, done=True, uid=uids.get(node))
            case Resumed(was=was):
                message = "" if was else "no mark of yours was there"
                return Marked(node=node, done=True, message=message, uid=uids.get(node))
            case Refused(reason=reason) | AgentError(reason=reason):
                return Marked(node=node, done=False, message=reason, uid=uids.get(node))
            case Closed(cause=cause, reason=reason):
                return Marked(node=node, done=False, message=cause.because(reason))
            case _:
                return None

    return ask_each(services, nodes, react)


def read_back(services: Services, marked: Sequence[Marked]) -> tuple[tuple[Marked, ...], frozenset[NodeName]]:
    """The results of a drain, corrected by a look at the nodes, and the nodes where jobs run or may run.

    A mark that was removed again, or has ended by its node's clock, keeps nothing away. A silent node is no proof of
    that: its agent has confirmed the mark, and jobs may run there.
    """
    snapshot = take_snapshot(services, [one.node for one in marked if one.done])
    progress = [drain_progress(answer) for answer in snapshot.answers]
    gone = {one.node for one in progress if one.resumed}
    kept = tuple(replace(one, done=False, message=_GONE) if one.node in gone else one for one in marked)
    return kept, frozenset(one.node for one in progress if not one.is_drained)


_GONE = "not drained: its mark was removed again, or has ended"


# Drain with a minimum available, even while others drain at the same time (docs/design/drain.md).
#
# Propose the drain on all nodes, sweep the whole pool, decide (`policy/drain_progress.py`), then confirm all marks or
# none. If we die on the way, we leave proposals, which expire by themselves, or marks of a drain that was decided.

PROPOSAL_LASTS_S: Final = 120.0
DECIDED_WITHIN_S: Final = 60.0
"""Shorter than `PROPOSAL_LASTS_S`: the rest is for confirming."""

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequest:
    """The contents of the mark. It ends after `lasts_s` or at `until_s`; None for both: when it is removed."""

    reason: str
    by: str
    lasts_s: float | None = None
    """Counted by each node's own clock, from when it writes the mark."""
    until_s: float | None = None
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainCommitted:
    """All nodes are drained; `left` nodes of the pool stay available."""

    marked: tuple[Marked, ...]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMarked:
    """Some nodes could not be marked, so none is, apart from those reported to `InDoubt`."""

    marked: tuple[Marked, ...]


DrainResult: TypeAlias = DrainCommitted | NotMarked | BelowMinAvailable | Undecided

InDoubt: TypeAlias = Callable[[Sequence[NodeName]], None]
"""Is told which nodes may stay drained although the drain failed."""


def drain_with_min_available(
    services: Services,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    min_available: int,
    request: DrainRequest,
    key: str,
    in_doubt: InDoubt,
) -> DrainResult:
    """Drain `nodes`, unless fewer than `min_available` of `pool` would be left. `key`: 128 random bits in hex."""
    mine = Proposal(at=services.clock.now(), key=key)
    try:
        end = _agree(services, nodes, pool, min_available, request, mine)
    except Interrupted:
        _withdraw(services, nodes, mine)
        raise
    if not isinstance(end, AboveMinAvailable):
        _withdraw(services, nodes, mine)
        return end
    marked = _confirm(services, nodes, request, mine, in_doubt)
    if not all(one.done for one in marked):
        return NotMarked(marked=marked)
    # Now replace the mark that was there before. If this fails, the node is still drained by the mark with our key.
    mark(services, nodes, drain_message(request))
    return DrainCommitted(marked=marked, left=end.left)


def _agree(
    services: Services,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    min_available: int,
    request: DrainRequest,
    mine: Proposal,
) -> AboveMinAvailable | NotMarked | BelowMinAvailable | Undecided:
    give_up_at = services.clock.monotonic() + DECIDED_WITHIN_S
    if (failed := _propose(services, nodes, request, mine)) is not None:
        return failed
    return _decide(services, nodes, pool, min_available, mine, give_up_at)


def _propose(services: Services, nodes: Sequence[NodeName], drain: DrainRequest, mine: Proposal) -> NotMarked | None:
    asked_at = mine.at.timestamp()
    request = encode("propose", key=mine.key, asked_at=asked_at, lasts_s=PROPOSAL_LASTS_S, **_mark_fields(drain))
    marked = mark(services, nodes, request)
    services.fail_point("proposed")
    return None if all(one.done for one in marked) else NotMarked(marked=marked)


def _decide(
    services: Services,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    min_available: int,
    mine: Proposal,
    give_up_at: float,
) -> AboveMinAvailable | BelowMinAvailable | Undecided:
    """Sweep the pool until the decision is certain; `Undecided` if it is not by `give_up_at`."""
    while True:
        snapshot = take_snapshot(services, pool)
        standings = [availability_of(answer, snapshot.taken_at) for answer in snapshot.answers]
        verdict = decide_drain(standings, nodes, min_available, mine)
        late = services.clock.monotonic() >= give_up_at
        if late and not isinstance(verdict, BelowMinAvailable):
            return verdict if isinstance(verdict, Undecided) else Undecided(nodes=())
        if not isinstance(verdict, Undecided):
            return verdict
        services.clock.pause(_LOOK_AGAIN_S)


def _confirm(
    services: Services, nodes: Sequence[NodeName], request: DrainRequest, mine: Proposal, in_doubt: InDoubt
) -> tuple[Marked, ...]:
    """Confirm the marks on all nodes, or undo all. So our mark does not replace one that the node had before."""
    is_confirmed = False
    try:
        marked = mark(services, nodes, drain_message(request, key=mine.key))
        services.fail_point("made_firm")
        is_confirmed = all(one.done for one in marked)
        return marked
    finally:
        # Unlike a proposal, a confirmed mark does not expire. A silent node may have it, or may still get it.
        if not is_confirmed and (unheard := _withdraw(services, nodes, mine)):
            in_doubt(unheard)


def drain_message(request: DrainRequest, key: str = "") -> bytes:
    """The `drain` message for the agent; with `key`, it makes that proposal permanent."""
    return encode("drain", key=key, lasts_s=request.lasts_s, until=request.until_s, **_mark_fields(request))


def _mark_fields(request: DrainRequest) -> dict[str, str]:
    return {"reason": request.reason, "by": request.by}


def _withdraw(services: Services, nodes: Sequence[NodeName], mine: Proposal) -> tuple[NodeName, ...]:
    """Remove our marks; return the nodes that did not confirm. Proposals expire there by themselves."""
    return tuple(one.node for one in mark(services, nodes, encode("resume", key=mine.key)) if not one.done)
