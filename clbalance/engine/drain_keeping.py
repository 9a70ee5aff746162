"""Drain nodes only if enough others are left, whoever else drains meanwhile (docs/design/drain.md).

Propose on all of them, look at the whole pool, decide (`policy/floor.py`), then make all of it firm, or none. Whoever
dies on the way leaves proposals, which end by themselves, or marks of a drain that had been agreed on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from clbalance.engine.agent_wire import encode
from clbalance.engine.mark import Marked, mark
from clbalance.engine.measure import measure
from clbalance.engine.world import World
from clbalance.errors import Interrupted
from clbalance.model import NodeName, Proposal
from clbalance.policy.floor import Enough, TooFew, Undecided, standing_of, weigh

PROPOSAL_LASTS_S: Final = 120.0
DECIDED_WITHIN_S: Final = 60.0
"""What is left then, and `CLOCKS_APART`, is for the last words to the nodes, and for clocks that differ."""

_LOOK_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainWish:
    """What the mark is to say; `until_s` in seconds since 1970, None: until it is taken away."""

    reason: str
    by: str
    until_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """All of them are drained, and so many of the pool are left."""

    marked: tuple[Marked, ...]
    left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMarked:
    """Some could not be marked, so none is."""

    marked: tuple[Marked, ...]


KeepingEnd: TypeAlias = Kept | NotMarked | TooFew | Undecided


def drain_keeping(
    world: World, nodes: Sequence[NodeName], pool: Sequence[NodeName], floor: int, wish: DrainWish, key: str
) -> KeepingEnd:
    """Drain `nodes`, unless fewer than `floor` of `pool` would be left; `key`: 128 random bits in hexadecimal."""
    mine = Proposal(at=world.clock.now(), key=key)
    try:
        end = _agree(world, nodes, pool, floor, wish, mine)
    except Interrupted:
        _withdraw(world, nodes, mine)
        raise
    if not isinstance(end, Kept):
        _withdraw(world, nodes, mine)
        return end
    # In the place of the mark that was there. What fails from here on is drained all the same, by the mark of its key.
    mark(world, nodes, encode("drain", **_words(wish), until=wish.until_s))
    return end


def _agree(
    world: World,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    floor: int,
    wish: DrainWish,
    mine: Proposal,
) -> KeepingEnd:
    give_up_at = world.clock.monotonic() + DECIDED_WITHIN_S
    if (failed := _propose(world, nodes, wish, mine)) is not None:
        return failed
    verdict = _decide(world, nodes, pool, floor, mine, give_up_at)
    return _make_firm(world, nodes, wish, mine, verdict.left) if isinstance(verdict, Enough) else verdict


def _propose(world: World, nodes: Sequence[NodeName], wish: DrainWish, mine: Proposal) -> NotMarked | None:
    asked_at = mine.at.timestamp()
    request = encode("propose", key=mine.key, asked_at=asked_at, lasts_s=PROPOSAL_LASTS_S, **_words(wish))
    marked = mark(world, nodes, request)
    world.fail_point("proposed")
    return None if all(one.done for one in marked) else NotMarked(marked=marked)


def _decide(
    world: World,
    nodes: Sequence[NodeName],
    pool: Sequence[NodeName],
    floor: int,
    mine: Proposal,
    give_up_at: float,
) -> Enough | TooFew | Undecided:
    """From a look at the pool after which it is certain. `Undecided`, and that is all, where none was in time."""
    while True:
        snapshot = measure(world, pool)
        standings = [standing_of(answer, snapshot.taken_at) for answer in snapshot.answers]
        verdict = weigh(standings, nodes, floor, mine)
        late = world.clock.monotonic() >= give_up_at
        if late and not isinstance(verdict, TooFew):
            return verdict if isinstance(verdict, Undecided) else Undecided(nodes=())
        if not isinstance(verdict, Undecided):
            return verdict
        world.clock.pause(_LOOK_AGAIN_S)


def _make_firm(world: World, nodes: Sequence[NodeName], wish: DrainWish, mine: Proposal, left: int) -> Kept | NotMarked:
    """Beside the mark that a node may have had before, so that it can be undone."""
    marked = mark(world, nodes, encode("drain", key=mine.key, **_words(wish), until=wish.until_s))
    world.fail_point("made_firm")
    return Kept(marked=marked, left=left) if all(one.done for one in marked) else NotMarked(marked=marked)


def _words(wish: DrainWish) -> dict[str, str]:
    return {"reason": wish.reason, "by": wish.by}


def _withdraw(world: World, nodes: Sequence[NodeName], mine: Proposal) -> None:
    """A node that does not hear of it forgets the proposal by itself."""
    mark(world, nodes, encode("resume", key=mine.key))
