"""The turns that run: begins each node's next step where it may begin, and takes the answers."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime
from functools import partial
from typing import Final, assert_never

from clbalance.engine.play.board import Board
from clbalance.engine.play.listener import Asks, PlayListener
from clbalance.engine.play.step_runner import StepFacts, StepRunner
from clbalance.engine.play.workers import Answer, Workers
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.play_run import NodeState, Result, StepEnded, StepList, StepState
from clbalance.model.playbook import DrainNode, Pause, Playbook
from clbalance.policy.play.gates import NotYet, TakeOver, gate
from clbalance.policy.play.resume import Continued
from clbalance.policy.play.schedule import no_further_drain
from clbalance.policy.play.turn import BeginStep, TurnNext, TurnOver, next_of_turn, results_of, why_failed
from clbalance.ports import Clock
from clbalance.ports.plays import PlayJournal

_STEP: Final = "step"
_HEALTH: Final = "health"
_KEEP: Final = "keep drained"
_MINIMUM_WITHIN_S: Final = 600.0
_INTERRUPTED_WITHIN_S: Final = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayPorts:
    """What a run needs of the world."""

    journal: PlayJournal
    clock: Clock
    workers: Workers
    runner: StepRunner
    listener: PlayListener
    ask: Asks


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRequest:
    """What to run. `nodes`: in the order of turns. `before`: the run was begun earlier, and goes on.

    `rolls_back`: the run that this one rolls back. `registered`: the results that its steps have registered.
    """

    number: int
    playbook: Playbook
    nodes: tuple[NodeName, ...]
    pool: tuple[NodeName, ...] = ()
    min_available: int | None = None
    most_at_once: int
    before: Continued | None = None
    rolls_back: int | None = None
    registered: Mapping[NodeName, Mapping[str, Result]] = field(default_factory=dict)

    @property
    def minimum_within_s(self) -> float:
        """How long a drain waits for the minimum: as long as the playbook's drain may take, if it says so."""
        drains = [step.action for step in self.playbook.steps if isinstance(step.action, DrainNode)]
        return next((one.deadline_s for one in drains if one.deadline_s is not None), _MINIMUM_WITHIN_S)


class Turns:
    """The turns that run in this process."""

    def __init__(self, ports: PlayPorts, request: PlayRequest, board: Board) -> None:
        self.wake_at: datetime | None = None
        """When something may begin, apart from answers."""
        self.winding_down = False
        """No further turn starts."""
        self.paused = ""
        """The question of a `pause` that nobody has answered with yes. Its node stays where it is."""
        self.health: dict[NodeName, StepState] = {}
        """Of the canary, after its soak."""
        self._ports = ports
        self._request = request
        self._playbook: Playbook = request.playbook
        self._board = board
        self._under_way: set[tuple[NodeName, str]] = set()
        self._tried_at: dict[NodeName, int] = {}

    @property
    def is_idle(self) -> bool:
        """Nothing runs, and nothing will begin by itself."""
        return not self._under_way and self.wake_at is None

    def advance(self) -> None:
        """Begin the next step of each node that may, and end turns."""
        self.wake_at = None
        for node in self._board.running:
            while self._advance(node):
                pass

    def wake(self, at: datetime) -> None:
        """Look again at this time at the latest."""
        self.wake_at = at if self.wake_at is None else min(at, self.wake_at)

    def wait(self) -> None:
        """Wait for an answer, and take all that are there."""
        seconds = self._ports.listener.waits()
        if self.wake_at is not None:
            seconds = min(seconds, (self.wake_at - self._ports.clock.now()).total_seconds())
        answer = self._ports.workers.next(max(0.0, seconds))
        while answer is not None:
            self._take(answer)
            answer = self._ports.workers.next(0.0)

    def withdraw_waiting(self) -> bool:
        """Give up turns that have done nothing yet: their drain waits for the minimum. Whether there were any."""
        waiting = [node for node in self._board.running if self._only_waits(node)]
        for node in waiting:
            self._board.withdraw(node)
        return bool(waiting)

    def _only_waits(self, node: NodeName) -> bool:
        waits = self._board.refused_since(node) is not None and (node, _STEP) not in self._under_way
        return waits and self._board.has_done_nothing(node)

    def check_health(self, node: NodeName) -> None:
        """Check the health of a canary's node once more."""
        health = self._playbook.health
        if health is not None and (node, _HEALTH) not in self._under_way:
            self._send(node, _HEALTH, partial(self._ports.runner.run, node, health, self._plain_facts()))

    def interrupt(self) -> None:
        """End what runs, and record what can still be known of it."""
        workers, clock = self._ports.workers, self._ports.clock
        workers.stop()
        give_up_at = clock.monotonic() + _INTERRUPTED_WITHIN_S
        while self._under_way and (left := give_up_at - clock.monotonic()) > 0:
            if (answer := workers.next(left)) is not None:
                self._take(answer)

    # -- one step forward

    def _advance(self, node: NodeName) -> bool:
        """Whether the turn goes on at once."""
        following = next_of_turn(self._playbook, self._board.turns[node])
        if isinstance(following, TurnOver):
            self._end_turn(node, following)
            return False
        return isinstance(following, BeginStep) and self._pass_gate(node, following)

    def _pass_gate(self, node: NodeName, begin: BeginStep) -> bool:
        now = self._ports.clock.now()
        another_ended = self._tried_at.get(node) != self._board.ended_here
        turns = self._board.turns.values()
        decision = gate(self._playbook, begin, self._others(node), turns, now, another_ended=another_ended)
        match decision:
            case NotYet(until=until):
                if until is not None:
                    self.wake(until)
                return False
            case TakeOver(ended=ended):
                return self._at_once(node, begin, ended)
            case BeginStep():
                return self._begin(node, decision, now)
            case _:
                assert_never(decision)

    def _others(self, node: NodeName) -> dict[NodeName, TurnNext]:
        turns = self._board.turns
        return {one: next_of_turn(self._playbook, turns[one]) for one in self._board.running if one != node}

    def _begin(self, node: NodeName, begin: BeginStep, now: datetime) -> bool:
        step = self._playbook.steps_of(begin.steps)[begin.index]
        if isinstance(step.action, Pause) and step.action.ask:
            return self._pause(node, begin, step.action.ask)
        if begin.refused and self.winding_down and self._has_waited_enough(node, now):
            reason = no_further_drain(self._playbook.rollout)
            ended = StepEnded(state=StepState.FAILED, reason=reason, changed=False)
            return self._at_once(node, begin, ended)
        self._tried_at[node] = self._board.ended_here
        facts = self._step_facts(node, begin)
        self._board.begin_step(node, begin, now)
        self._send(node, _STEP, partial(self._ports.runner.run, node, step, facts))
        return False

    def _has_waited_enough(self, node: NodeName, now: datetime) -> bool:
        since = self._board.refused_since(node)
        return since is not None and (now - since).total_seconds() >= self._request.minimum_within_s

    def _pause(self, node: NodeName, begin: BeginStep, question: str) -> bool:
        """Asks in this thread: what runs meanwhile goes on, and is looked at after the answer."""
        if self.winding_down or self.paused:
            return False
        if not self._ports.ask(f"{node}: {question}"):
            self.paused = f"{node}: {question}"
            return False
        return self._at_once(node, begin, StepEnded(state=StepState.OK))

    def _at_once(self, node: NodeName, begin: BeginStep, ended: StepEnded) -> bool:
        now = self._ports.clock.now()
        self._board.begin_step(node, begin, now)
        self._board.end_step(node, ended, now)
        return True

    def _end_turn(self, node: NodeName, over: TurnOver) -> None:
        self._board.end(node, over, self._ports.clock.now())
        if over.state in (NodeState.FAILED, NodeState.UNCERTAIN) and self._board.is_drained(node):
            self._send(node, _KEEP, partial(self._ports.runner.keep_drained, node, over.reason, self._plain_facts()))

    # -- what is carried out, and its answers

    def _send(self, node: NodeName, purpose: str, call: "partial[StepEnded]") -> None:
        self._under_way.add((node, purpose))
        self._ports.workers.begin(node, purpose, call)

    def _take(self, answer: Answer) -> None:
        self._under_way.discard((answer.node, answer.purpose))
        if answer.purpose == _STEP:
            self._board.end_step(answer.node, answer.ended, self._ports.clock.now())
            return
        what = "its drain mark does not say why"
        if answer.purpose == _HEALTH:
            self.health[answer.node] = answer.ended.state
            what = "the health check after the soak"
        if answer.ended.state is not StepState.OK:
            self._ports.listener.warn(answer.node, f"{what}: {answer.ended.reason}")

    def _plain_facts(self) -> StepFacts:
        request = self._request
        return StepFacts(
            playbook=self._playbook,
            run=request.number,
            rolls_back=request.rolls_back,
            nodes=request.nodes,
            pool=request.pool,
            min_available=request.min_available,
        )

    def _step_facts(self, node: NodeName, begin: BeginStep) -> StepFacts:
        turn = self._board.turns[node]
        registered, last = results_of(self._playbook, turn)
        failed = turn.rolls_back or why_failed(self._playbook, turn.records)
        return replace(
            self._plain_facts(),
            steps=begin.steps,
            index=begin.index,
            attempt=begin.attempt,
            registered={**self._request.registered.get(node, {}), **registered},
            last=last,
            failed=failed if begin.steps is StepList.ROLLBACK else "",
        )
