"""The copies of one claim: their phases, how they are followed, and when to call a disconnected node again."""

from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import IntEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.model.job_record import CopyRecord, End, FinalUsage, Intent, Lost, Outcome

UNCONFIRMED = "told to end; the node has not confirmed it"
_MOST_WARNINGS = 50  # of one copy


class Phase(IntEnum):
    """The progress of a copy. If its session closes before STARTING, nothing was started."""

    ARRIVING = 0
    """The agent was sent, and has not said hello yet."""
    CLAIMING = 1
    """The job's folder and a lease were requested."""
    ADMITTED = 2
    """The node has granted the lease; the copy waits for the others."""
    STORING = 3
    """Script and standard input are on their way."""
    READY = 4
    """All files are there; the copy waits for the others."""
    STARTING = 5
    """The node was told to start it. From here on only the node knows its state."""
    RUNNING = 6
    LEFT = 7
    """It still runs, and we follow it no further."""
    ENDED = 8


@dataclass(slots=True)
class Copy:
    """One copy. `boot_id` and `incarnation` are those of its node, known once it is claimed."""

    node: NodeName
    rank: int
    phase: Phase = Phase.ARRIVING
    boot_id: str = ""
    incarnation: str = ""
    folder: str = ""
    """The job's folder there."""
    port: int = 0
    """A TCP port that was free there when it was admitted; 0: unknown."""
    end: End | None = None
    seconds: float = 0.0
    usage: FinalUsage | None = None
    started_at: float | None = None
    may_start_elsewhere: bool = False
    """It was not started, and for a reason of its node: that stopped answering, or could not take its files."""
    began_at: float | None = None
    """When it began, as a time of our monotonic clock: its node said how long it had been running. None: not told."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables of this copy alone; those that the user has set win."""
    untold: list[str] = field(default_factory=list)
    """Warnings to be told when it starts."""
    warnings: list[str] = field(default_factory=list)
    received: dict[str, int] = field(default_factory=dict)
    """How many bytes of each stream have arrived here."""
    acked: dict[str, int] = field(default_factory=dict)
    """How many of those were acknowledged to its agent."""

    @classmethod
    def of(cls, record: CopyRecord) -> "Copy":
        """A copy that another process has launched."""
        intent = record.intent
        return cls(
            intent.node,
            intent.rank,
            Phase.STARTING,
            boot_id=intent.boot_id,
            incarnation=intent.incarnation,
            folder=intent.folder,
        )

    @property
    def intent(self) -> Intent:
        """The launch to record before it is started."""
        return Intent(
            node=self.node, rank=self.rank, boot_id=self.boot_id, incarnation=self.incarnation, folder=self.folder
        )

    @property
    def has_started(self) -> bool:
        """Whether its program runs or ran: its output may come before its node's word that it was started."""
        return self.phase >= Phase.RUNNING or bool(self.received)

    def warn(self, text: str) -> bool:
        """Keep a warning. False: there are too many already."""
        if len(self.warnings) >= _MOST_WARNINGS:
            return False
        self.warnings.append(text)
        return True

    def outcome(self, end: End) -> Outcome:
        """The outcome of this copy with that end."""
        return Outcome(
            node=self.node,
            rank=self.rank,
            end=end,
            seconds=self.seconds,
            warnings=tuple(self.warnings),
            usage=self.usage,
        )


class Copies:
    """All copies of one claim; `label` names their folders on the nodes, where each may have a work folder."""

    def __init__(self, label: str, copies: Iterable[Copy], *, have_work_folder: bool = False) -> None:
        self.label = label
        self.have_work_folder = have_work_folder
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
        """The copies that are followed or not started yet."""
        return [copy for copy in self._by_node.values() if copy.phase < Phase.LEFT]

    def all_in(self, phase: Phase) -> bool:
        """Whether every copy is in exactly that phase."""
        return all(copy.phase is phase for copy in self._by_node.values())

    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of the copies that have an end."""
        return tuple(copy.outcome(copy.end) for copy in self._by_node.values() if copy.end is not None)


# Disconnected nodes: how long they are waited for, and when they are called again. Pure.

_CALL_AGAIN_S = 0.5  # doubled with each failed call
_CALL_AGAIN_AT_MOST_S = 5.0
_BACK_FOR_GOOD_S = 5.0


@dataclass(slots=True)
class _Reconnect:
    """The disconnection of one node."""

    until: float
    end: Lost
    again_at: float
    was_reached: bool
    """Whether we had a connection to it before."""
    calling: bool = False
    calls: int = 0
    back_at: float | None = None
    """When it was reconnected. If it says nothing `_BACK_FOR_GOOD_S` later, its loss is the same disconnection."""


class Reconnects:
    """The disconnected nodes of a claim. All times are seconds of one monotonic clock."""

    def __init__(self, patience_s: float) -> None:
        self.timeout_s = patience_s
        self._by_node: dict[NodeName, _Reconnect] = {}
        self._heard_at: dict[NodeName, float] = {}

    def heard(self, node: NodeName, now: float) -> None:
        """The node has sent something."""
        self._heard_at[node] = now

    def call_first(self, node: NodeName, now: float) -> None:
        """Another process started the copy on that node: it is to be called for the first time."""
        never = Lost(cause=Cause.LOST, reason="")
        self._by_node[node] = _Reconnect(until=now + self.timeout_s, end=never, again_at=now, was_reached=False)

    def disconnected(self, node: NodeName, end: Lost, now: float) -> bool:
        """The connection was lost, or a call failed. Returns whether that begins a new disconnection.

        A node that answers and then hangs, each time, is not back.
        """
        known, heard_at = self._by_node.get(node), self._heard_at.get(node, now)
        if known is None or (known.back_at is not None and heard_at - known.back_at > _BACK_FOR_GOOD_S):
            self._by_node[node] = _Reconnect(until=now + self.timeout_s, end=end, again_at=now, was_reached=True)
            return True
        known.calling, known.back_at, known.end = False, None, end
        known.again_at = now + min(_CALL_AGAIN_S * 2**known.calls, _CALL_AGAIN_AT_MOST_S)
        known.calls += 1
        return False

    def reconnected(self, node: NodeName, now: float) -> None:
        """The node has answered again."""
        if node in self._by_node:
            self._by_node[node].back_at = now
            self._by_node[node].was_reached = True

    def was_reached(self, node: NodeName) -> bool:
        """Whether we had a connection to it at any time."""
        known = self._by_node.get(node)
        return known is None or known.was_reached

    def is_in_touch(self, node: NodeName) -> bool:
        """Whether requests can be sent to it."""
        known = self._by_node.get(node)
        return known is None or known.back_at is not None

    def next_attempt(self, node: NodeName, now: float) -> Lost | bool:
        """Whether to call it now; its `Lost` end once the timeout is over."""
        known = self._by_node.get(node)
        if known is None or known.calling or known.back_at is not None:
            return False
        if now >= known.until:
            return known.end
        known.calling = now >= known.again_at
        return known.calling


# How a running job is followed. Not in `follow`, so that nodes can be asked before that is imported.


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowMode:
    """How copies are followed, and what is requested of them."""

    streams: tuple[str, ...] = ("stdout", "stderr")
    to_the_end: bool = True
    """Follow until the end; False: only read the output so far."""
    leave_when_started: bool = False
    void: bool = True
    """Declare a copy void that has not started, so that it never will. Only for a process that controls the job."""
    retire: bool = False
    """The follower has all output: remove the job's files from its node."""
    retire_work_only: bool = False
    """With `retire`: only its work folder; the output stays."""
    persist: bool = True
    """Call again when a connection is lost: sshd may be restarting."""
    call_until_reached: bool = False
    """Call again also a node that was never reached. Otherwise its first refusal or silence is the answer."""
    end: str | None = None
    """End the copies, for this reason."""
    signal: int | None = None
    ends_with_us: bool = True
    """When we are stopped, end the copies; False: leave them running once they are started."""
    finish: bool = False
    """Tell slots of another agent to finish: no process will give them more tasks."""

    @property
    def is_supervised(self) -> bool:
        """Whether a detached controller follows the job to its end."""
        return not (self.ends_with_us or self.leave_when_started)


FOREGROUND = FollowMode(retire=True)
"""`run`: show all output, and wait for the end."""
DETACHED = FollowMode(streams=(), leave_when_started=True)
"""`run --detach`: wait for the start only. Output that is printed before all copies run is left for `logs`."""
SUPERVISED = FollowMode(streams=(), ends_with_us=False)
"""A detached controller: wait for the end, without output. The job does not depend on it."""
LEAVE_RUNNING = FollowMode(streams=(), leave_when_started=True, ends_with_us=False)
"""A queued job, or a migrated job without a controller: wait for the start, and leave it running."""
