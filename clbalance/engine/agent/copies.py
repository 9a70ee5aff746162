"""The copies of one job: how far each has come, for how long a silent node is waited for, what is wanted of them."""

from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import IntEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import CopyRecord, End, Intent, Lost, Outcome


class Phase(IntEnum):
    """How far a copy has come; a session that closes before STARTING has started nothing."""

    ARRIVING = 0
    """The agent was sent and has not said hello."""
    CLAIMING = 1
    """The job's folder and a lease were asked for."""
    ADMITTED = 2
    """The node has promised what the job needs; it waits for the other copies."""
    STORING = 3
    """Script and standard input are on their way."""
    READY = 4
    """All is there; it waits for the other copies."""
    STARTING = 5
    """Told to start: from here on only its node knows what became of it."""
    RUNNING = 6
    LEFT = 7
    """It runs on, and we follow it no further."""
    ENDED = 8


@dataclass(slots=True)
class Copy:
    """One copy. `boot_id` and `incarnation` are its node's, from its claim on."""

    node: NodeName
    rank: int
    phase: Phase = Phase.ARRIVING
    boot_id: str = ""
    incarnation: str = ""
    end: End | None = None
    seconds: float = 0.0
    started_at: float | None = None
    warnings: list[str] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    """How many bytes of each stream have arrived here."""
    acked: dict[str, int] = field(default_factory=dict)
    """How many of those its agent was told of."""

    @classmethod
    def of(cls, record: CopyRecord) -> "Copy":
        """A copy that was started, or was going to be, by somebody else."""
        intent = record.intent
        return cls(intent.node, intent.rank, Phase.STARTING, boot_id=intent.boot_id, incarnation=intent.incarnation)

    @property
    def intent(self) -> Intent:
        """What is written down before it is started."""
        return Intent(node=self.node, rank=self.rank, boot_id=self.boot_id, incarnation=self.incarnation)

    def outcome(self, end: End) -> Outcome:
        """Its outcome, were it to end so."""
        return Outcome(node=self.node, rank=self.rank, end=end, seconds=self.seconds, warnings=tuple(self.warnings))


class Copies:
    """All copies of one claim; `label` names their folders on the nodes."""

    def __init__(self, label: str, copies: Iterable[Copy]) -> None:
        self.label = label
        self._by_node = {copy.node: copy for copy in copies}

    def __iter__(self) -> Iterator[Copy]:
        return iter(tuple(self._by_node.values()))

    def __contains__(self, node: NodeName) -> bool:
        return node in self._by_node

    def __getitem__(self, node: NodeName) -> Copy:
        return self._by_node[node]

    def __len__(self) -> int:
        return len(self._by_node)

    def unended(self) -> list[Copy]:
        """Those that are still followed, or have not been started."""
        return [copy for copy in self._by_node.values() if copy.phase < Phase.LEFT]

    def all_in(self, phase: Phase) -> bool:
        """Whether every copy has come just that far."""
        return all(copy.phase is phase for copy in self._by_node.values())

    def outcomes(self) -> tuple[Outcome, ...]:
        """Of the copies that have an end."""
        return tuple(copy.outcome(copy.end) for copy in self._by_node.values() if copy.end is not None)


# Nodes that are not in touch with us: for how long they are waited for, and when they are called again. No effects.

_CALL_AGAIN_S = 0.5  # doubled with each call in vain
_CALL_AGAIN_AT_MOST_S = 5.0
_BACK_FOR_GOOD_S = 5.0


@dataclass(slots=True)
class _Reconnect:
    """One node's."""

    until: float
    end: Lost
    again_at: float
    calling: bool = False
    calls: int = 0
    back_at: float | None = None
    """When it was in touch again; not for long, and it is the same absence."""


class Reconnects:
    """All times are of one monotonic clock."""

    def __init__(self, patience_s: float) -> None:
        self.timeout_s = patience_s
        self._by_node: dict[NodeName, _Reconnect] = {}

    def disconnected(self, node: NodeName, end: Lost, now: float) -> bool:
        """The connection is lost, or a call was in vain; whether a new absence begins with it."""
        known = self._by_node.get(node)
        if known is None or (known.back_at is not None and now - known.back_at > _BACK_FOR_GOOD_S):
            self._by_node[node] = _Reconnect(until=now + self.timeout_s, end=end, again_at=now)
            return True
        known.calling, known.back_at, known.end = False, None, end
        known.again_at = now + min(_CALL_AGAIN_S * 2**known.calls, _CALL_AGAIN_AT_MOST_S)
        known.calls += 1
        return False

    def reconnected(self, node: NodeName, now: float) -> None:
        """It is in touch."""
        if node in self._by_node:
            self._by_node[node].back_at = now

    def is_in_touch(self, node: NodeName) -> bool:
        """Whether it can be spoken to."""
        known = self._by_node.get(node)
        return known is None or known.back_at is not None

    def next_attempt(self, node: NodeName, now: float) -> Lost | bool:
        """Whether it is to be called now; a `Lost`, where it has been waited for long enough."""
        known = self._by_node.get(node)
        if known is None or known.calling or known.back_at is not None:
            return False
        if now >= known.until:
            return known.end
        known.calling = now >= known.again_at
        return known.calling


# What somebody wants of a job that runs. Apart from `follow`, so that nodes can be asked before that is imported.


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowMode:
    """What we want of the copies."""

    streams: tuple[str, ...] = ("stdout", "stderr")
    to_the_end: bool = True
    """Else only what there is by now."""
    leave_when_started: bool = False
    void: bool = True
    """Of a copy that has not started, make sure that it never will: it is ours to say."""
    retire: bool = False
    """Who followed it has seen it all: what it left on its node may go."""
    persist: bool = True
    """Call again when a connection is lost."""
    end: str | None = None
    """End them, and why."""
    signal: int | None = None
    ends_with_us: bool = True
    """Told to stop, we end them; else they are let go once they run."""
    finish: bool = False
    """Of slots that another agent has started: nobody will bring them more tasks."""


FOREGROUND = FollowMode(retire=True)
"""`run`: all of it, here and now."""
DETACHED = FollowMode(streams=(), leave_when_started=True)
"""`run --detach`: that it runs. What a copy prints while others are still to start is for `logs`."""
SUPERVISED = FollowMode(streams=())
"""A keeper in the background: how it ends."""
LEAVE_RUNNING = FollowMode(streams=(), leave_when_started=True, ends_with_us=False)
"""A job from the queue, or one of nobody's that was moved: that it runs."""
