"""A run without processes: steps that are scripted, a clock that jumps to the next answer, a record in memory."""

import heapq
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from clbalance.engine.play.play import PlayEnded, play
from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.turns import PlayPorts, PlayRequest
from clbalance.engine.play.workers import Answer, Call
from clbalance.errors import Interrupted
from clbalance.model import NodeName
from clbalance.model.play_run import (
    NodeChanged,
    NodeState,
    PlayRun,
    Result,
    StepEnded,
    StepList,
    StepRecord,
    StepState,
)
from clbalance.model.playbook import (
    CheckHealth,
    DrainNode,
    Playbook,
    ResumeNode,
    Rollout,
    RunProgram,
    ShellText,
    Step,
)
from clbalance.policy.play.resume import Continued
from tests.engine.play.journal import InMemoryPlays

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
OK = StepEnded(state=StepState.OK)
REFUSED = StepEnded(state=StepState.REFUSED, reason="2 of 4 nodes would remain available, at least 3 required")


def failed(reason: str = "exit code 1") -> StepEnded:
    return StepEnded(state=StepState.FAILED, reason=reason, result=Result(rc=1))


def unknown(reason: str = "the connection was lost") -> StepEnded:
    return StepEnded(state=StepState.UNKNOWN, reason=reason)


def ran(name: str, **words: object) -> Step:
    """A step that runs a program."""
    action = RunProgram(program=ShellText(text=name))
    return Step(name=name, path=f"steps[{name}]", line=1, **{"action": action, **words})  # type: ignore[arg-type]


def nodes_of(count: int) -> tuple[NodeName, ...]:
    return tuple(f"n{number}" for number in range(1, count + 1))


def book(*steps: Step, rollback: Sequence[Step] = (), health: CheckHealth | None = None, **rollout: object) -> Playbook:
    return Playbook(
        name="upgrade",
        description="",
        file="upgrade.yml",
        text_hash="0" * 64,
        hosts="",
        rollout=Rollout(**rollout),  # type: ignore[arg-type]
        steps=(*(steps or (ran("a"), ran("b"))), *_checked(health)),
        rollback=tuple(rollback),
    )


def drained_book(*steps: Step, health: CheckHealth | None = None, **words: object) -> Playbook:
    """With `drain:` as its first step and the resume as its last."""
    drain = Step(name="drain", path="drain", line=1, action=DrainNode())
    resume = Step(name="resume", path="resume", line=1, action=ResumeNode())
    return book(drain, *(steps or (ran("a"),)), *_checked(health), resume, **words)  # type: ignore[arg-type]


def _checked(health: CheckHealth | None) -> tuple[Step, ...]:
    return () if health is None else (Step(name="health", path="health", line=1, action=health),)


Script = Callable[[NodeName, str, int], "tuple[float, StepEnded]"]
"""How long a step takes on a node at the n-th call, and how it ends."""


@dataclass
class World:
    """Clock, workers, runner and listener in one: `script` says what steps do."""

    script: Script = lambda node, step, call: (1.0, OK)
    answers_to: Callable[[str], bool | None] = lambda question: None
    interrupt_at: float | None = None
    seconds: float = 0.0
    journal: InMemoryPlays = field(default_factory=InMemoryPlays)
    calls: list[tuple[float, NodeName, str]] = field(default_factory=list)
    kept: dict[NodeName, str] = field(default_factory=dict)
    facts: dict[tuple[NodeName, str], StepFacts] = field(default_factory=dict)
    questions: list[str] = field(default_factory=list)
    holding: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    most_turns: int = 0
    running: set[NodeName] = field(default_factory=set)
    stopped: bool = False
    _heap: list[tuple[float, int, Answer]] = field(default_factory=list)
    _duration_s: float = 0.0

    # clock
    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds

    # workers
    def begin(self, node: NodeName, purpose: str, call: Call) -> None:
        ended = call(threading.Event())
        answer = Answer(node=node, purpose=purpose, ended=ended)
        heapq.heappush(self._heap, (self.seconds + self._duration_s, len(self.calls), answer))

    def next(self, timeout_s: float) -> Answer | None:
        until = self.seconds + timeout_s
        at = min(self._heap[0][0] if self._heap else until, until)
        if self.interrupt_at is not None and at >= self.interrupt_at and not self.stopped:
            self.seconds = self.interrupt_at
            raise Interrupted(2)
        self.seconds = max(self.seconds, at)
        if self._heap and self._heap[0][0] <= self.seconds:
            return heapq.heappop(self._heap)[2]
        assert timeout_s < 1e6 or self._heap, "the run waits for ever"
        return None

    def stop(self) -> None:
        self.stopped = True

    # runner
    def run(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        begun = self.journal.events[-1]
        is_recorded = isinstance(begun, StepRecord) and (begun.node, begun.ended) == (node, None)
        assert is_recorded or step.path == "health", "its begin is recorded before it is begun"
        name = step.name if is_recorded else "health again"
        self.facts[node, name] = facts
        call = sum((node, name) == (one, earlier) for _, one, earlier in self.calls)
        self.calls.append((self.seconds, node, name))
        self._duration_s, ended = self.script(node, name, call)
        return ended

    def check(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        raise AssertionError("a run carries out its steps")

    def keep_drained(self, node: NodeName, reason: str, facts: StepFacts, stop: threading.Event) -> StepEnded:
        self._duration_s = 0.5
        self.kept[node] = reason
        return OK

    # listener
    def node_changed(self, changed: NodeChanged) -> None:
        if changed.state is NodeState.RUNNING:
            self.running.add(changed.node)
        else:
            self.running.discard(changed.node)
        self.most_turns = max(self.most_turns, len(self.running))

    def step_begins(self, record: StepRecord, step: Step) -> None:
        pass

    def step_ended(self, record: StepRecord, step: Step) -> None:
        pass

    def holds(self, why: str, until: datetime | None) -> None:
        if why and (not self.holding or self.holding[-1] != why):
            self.holding.append(why)

    def warn(self, node: NodeName, what: str) -> None:
        self.warnings.append(f"{node}: {what}")

    def waits(self) -> float:
        return 1e6

    def ask(self, question: str) -> bool | None:
        self.questions.append(question)
        return self.answers_to(question)

    # what tests ask
    def play(
        self,
        playbook: Playbook,
        nodes: int | Sequence[NodeName] = 4,
        *,
        most_at_once: int = 64,
        before: Continued | None = None,
    ) -> PlayEnded:
        ports = PlayPorts(journal=self.journal, clock=self, workers=self, runner=self, listener=self, ask=self.ask)
        names = nodes_of(nodes) if isinstance(nodes, int) else tuple(nodes)
        number = self.journal.begin(_run_of(playbook, names))
        request = PlayRequest(number=number, playbook=playbook, nodes=names, most_at_once=most_at_once, before=before)
        return play(ports, request)

    def began(self, step: str = "a") -> list[NodeName]:
        """The nodes that have begun a step, in order."""
        return [node for _, node, name in self.calls if name == step]

    def began_at(self, step: str = "a") -> dict[NodeName, float]:
        return {node: at for at, node, name in self.calls if name == step}


def _run_of(playbook: Playbook, nodes: tuple[NodeName, ...]) -> PlayRun:
    return PlayRun(
        number=0, playbook=playbook.name, file=playbook.file, text="", text_hash="", started_at=EPOCH, nodes=nodes
    )


def scripted(by: Mapping[tuple[NodeName, str], StepEnded], seconds: float = 1.0) -> Script:
    """Steps that end as `by` says, and else well."""
    return lambda node, step, call: (seconds, by.get((node, step), OK))


def states(ended: PlayEnded) -> dict[NodeName, NodeState]:
    return {one.node: one.state for one in ended.nodes}


def rolled_back(ended: PlayEnded) -> set[NodeName]:
    return {one.node for one in ended.nodes if one.rolled_back}


__all__ = ["OK", "REFUSED", "StepList", "World"]
