"""Put drain marks on nodes or take them away; drain only if enough other nodes are left (docs/design/drain.md)."""

from collections.abc import Callable, Sequence
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
)
from clbalance.ports import Closed


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """What became of one node; `uid` is who we are there, None where nobody answered."""

    node: NodeName
    done: bool
    """It is as it was asked to be."""
    message: str = ""
    """Why not; or, where it is, why nothing had to be changed."""
    uid: int | None = None


def mark(services: Services, nodes: Sequence[NodeName], request: bytes) -> tuple[Marked, ...]:
    """Send `request` (a `drain` or `resume`, encoded) to every node; each answers or its deadline ends it."""
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


# Drain nodes only if enough others are left, whoever else drains meanwhile (docs/design/drain.md).
#
# Propose on all of them, look at the whole pool, decide (`policy/drain_progress.py`), then make all of it firm, or
# none.
# Whoever
# dies on the way leaves proposals, which end by themselves, or marks of a drain that had been agreed on.

PROPOSAL_LASTS_S: Final = 120.0
DECIDED_WITHIN_S: Final = 60.0
"""What is left then, and `CLOCKS_APART`, is for the last words to the nodes, and for clocks that differ."""

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainRequest:
    """What the mark is to say; `until_s` in seconds since 1970, None: until it is taken away."""

    reason: str
    by: str
    until_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainCommitted:
    """All of them are drained, and so many of the pool are left."""

    marked: tuple[Marked, ...]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMarked:
    """Some could not be marked, so none is, but for those that were told of as in doubt."""

    marked: tuple[Marked, ...]


DrainResult: TypeAlias = DrainCommitted | NotMarked | BelowMinAvailable | Undecided

InDoubt: TypeAlias = Callable[[Sequence[NodeName]], None]
"""Hears of nodes that may stay drained though it came to nothing."""


def drain_with_min_available(
    services: Services,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    min_available: int,
    request: DrainRequest,
    key: str,
    in_doubt: InDoubt,
) -> DrainResult:
    """Drain `nodes`, unless fewer than `min_available` of `pool` would be left; `key`: 128 random bits in
    hexadecimal.
    """
    mine = Proposal(at=services.clock.now(), key=key)
    try:
        end = _agree(services, nodes, pool, min_available, request, mine)
    except Interrupted:
        _withdraw(services, nodes, mine)
        raise
    if not isinstance(end, AboveMinAvailable):
        _withdraw(services, nodes, mine)
        return end
    marked = _make_firm(services, nodes, request, mine, in_doubt)
    if not all(one.done for one in marked):
        return NotMarked(marked=marked)
    # In the place of the mark that was there. What fails from here on is drained all the same, by the mark of its key.
    mark(services, nodes, encode("drain", **_words(request), until=request.until_s))
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
    request = encode("propose", key=mine.key, asked_at=asked_at, lasts_s=PROPOSAL_LASTS_S, **_words(drain))
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
    """From a look at the pool after which it is certain. `Undecided`, and that is all, where none was in time."""
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


def _make_firm(
    services: Services, nodes: Sequence[NodeName], request: DrainRequest, mine: Proposal, in_doubt: InDoubt
) -> tuple[Marked, ...]:
    """All of them, or it is undone: therefore beside the mark that a node may have had before."""
    is_firm = False
    try:
        marked = mark(services, nodes, encode("drain", key=mine.key, **_words(request), until=request.until_s))
        services.fail_point("made_firm")
        is_firm = all(one.done for one in marked)
        return marked
    finally:
        # A firm mark does not end by itself as a proposal does. One that is silent may have it, or yet come to it.
        if not is_firm and (unheard := _withdraw(services, nodes, mine)):
            in_doubt(unheard)


def _words(request: DrainRequest) -> dict[str, str]:
    return {"reason": request.reason, "by": request.by}


def _withdraw(services: Services, nodes: Sequence[NodeName], mine: Proposal) -> tuple[NodeName, ...]:
    """Those that did not confirm it: a proposal they forget by themselves."""
    return tuple(one.node for one in mark(services, nodes, encode("resume", key=mine.key)) if not one.done)
