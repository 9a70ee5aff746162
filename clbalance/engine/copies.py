"""The copies of one job, each on its node, as far as they have come. Values, and no effects."""

from collections.abc import Iterable, Iterator
from dataclasses import field
from enum import IntEnum

from clbalance.job import CopyRecord, End, Intent, Outcome
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName


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
    """One copy. `boot_id` and `birth` are its node's, from its claim on."""

    node: NodeName
    rank: int
    phase: Phase = Phase.ARRIVING
    boot_id: str = ""
    birth: str = ""
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
        return cls(intent.node, intent.rank, Phase.STARTING, boot_id=intent.boot_id, birth=intent.birth)

    @property
    def intent(self) -> Intent:
        """What is written down before it is started."""
        return Intent(node=self.node, rank=self.rank, boot_id=self.boot_id, birth=self.birth)

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
