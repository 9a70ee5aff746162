"""One run of a playbook. The main thread decides and records; each step is carried out by a thread of its own.

    begin the next step of each turn → decide which turns start → wait for an answer → record it → begin …

A step's begin is on disk before it is begun. When the run stops by itself, what runs comes to its end. When it is
interrupted, what runs is ended within two seconds; a step without an answer by then stays without an end in the record.
"""

from typing import assert_never

from clbalance.engine.play.board import Board
from clbalance.engine.play.turns import PlayPorts, PlayRequest, Turns
from clbalance.errors import Interrupted
from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import NodeProgress, NodeState, RunState
from clbalance.policy.play.schedule import (
    AskSomebody,
    CanaryLook,
    CheckCanary,
    Finished,
    PauseRun,
    RunFacts,
    Soak,
    Start,
    Stop,
    Verdict,
    decide,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayEnded:
    """How the run has ended. `minimum`: because it could not be held."""

    state: RunState
    reason: str = ""
    minimum: bool = False
    nodes: tuple[NodeProgress, ...] = ()


def play(ports: PlayPorts, request: PlayRequest) -> PlayEnded:
    """Run it to its end, and record how it has ended. `Interrupted`: the record says so."""
    run = _Run(ports, request)
    try:
        end = run.to_its_end()
    except Interrupted:
        run.interrupt()
        ports.journal.end(request.number, ports.clock.now(), RunState.INTERRUPTED, "by a signal")
        raise
    ports.journal.end(request.number, ports.clock.now(), end.state, end.reason)
    return end


class _Run:
    """The state of one run in this process."""

    def __init__(self, ports: PlayPorts, request: PlayRequest) -> None:
        self._ports = ports
        self._request = request
        self._board = Board(request.number, request.playbook, request.nodes, ports.journal, ports.listener)
        self._turns = Turns(ports, request, self._board)
        self._approved = request.before is not None and request.before.canary_passed
        self._last: Stop | PauseRun | None = None
        self._canary_is_rolled_back = False
        self._decided: tuple[int, Verdict] | None = None
        if request.before is not None:
            self._board.go_on(request.before)

    def interrupt(self) -> None:
        """End what runs."""
        self._turns.interrupt()

    def to_its_end(self) -> PlayEnded:
        """Decide and wait, until nothing runs and nothing more starts."""
        while True:
            self._turns.advance()
            verdict = self._verdict()
            if self._carry_out(verdict):
                continue
            if self._turns.is_idle and isinstance(verdict, Finished | Stop | PauseRun):
                return self._end(verdict)
            self._turns.wait()

    # -- deciding

    def _verdict(self) -> Verdict:
        if self._turns.paused and self._last is None:
            self._last = PauseRun(reason=self._turns.paused)
        verdict = self._last or self._decide()
        if isinstance(verdict, Stop | PauseRun):
            self._last = verdict
        self._turns.winding_down = self._last is not None
        return verdict

    def _decide(self) -> Verdict:
        """Decided again only if something has changed: large runs end a step many times a second."""
        if self._decided is not None:
            version, verdict = self._decided
            if version == self._board.version and isinstance(verdict, Start) and not verdict.holding:
                return Start()
        verdict = decide(self._facts())
        self._decided = (self._board.version, verdict)
        return verdict

    def _facts(self) -> RunFacts:
        return RunFacts(
            rollout=self._request.playbook.rollout,
            nodes=self._request.nodes,
            standings=self._board.standings(),
            now=self._ports.clock.now(),
            most_at_once=self._request.most_at_once,
            minimum_within_s=self._request.minimum_within_s,
            has_health=self._request.playbook.health is not None,
            canary=CanaryLook(health=self._turns.health, approved=self._approved),
            ended_here=self._board.ended_here,
        )

    # -- carrying it out. Each returns whether to look again at once.

    def _carry_out(self, verdict: Verdict) -> bool:
        listener = self._ports.listener
        match verdict:
            case Start(nodes=nodes, holding=why):
                listener.holds(why, None)
                for node in nodes:
                    self._board.start(node)
                return bool(nodes)
            case Soak(until=until):
                listener.holds("the canary soaks", until)
                self._turns.wake(until)
                return False
            case CheckCanary(nodes=nodes):
                listener.holds("the health of the canary is checked once more", None)
                for node in nodes:
                    self._turns.check_health(node)
                return False
            case AskSomebody(question=question):
                return self._ask(question)
            case Stop() | PauseRun():
                listener.holds(verdict.reason, None)
                return self._wind_down(verdict)
            case Finished():
                return False
            case _:
                assert_never(verdict)

    def _ask(self, question: str) -> bool:
        """Once nothing runs any more: nobody looks at answers while somebody thinks."""
        if not self._turns.is_idle:
            return False
        if self._ports.ask(f"{question}. Go on with the other nodes?"):
            self._approved = True
        else:
            self._last = PauseRun(reason=question)
        return True

    def _wind_down(self, verdict: Stop | PauseRun) -> bool:
        """No further turn begins. A failed canary is rolled back once its turns have ended."""
        if self._turns.withdraw_waiting():
            return True
        if isinstance(verdict, PauseRun) or self._canary_is_rolled_back or not self._turns.is_idle:
            return False
        self._canary_is_rolled_back = True
        now = decide(self._facts())
        nodes = now.roll_back if isinstance(now, Stop) and self._request.playbook.rollback else ()
        for node in nodes:
            self._board.roll_back(node, verdict.reason)
        return bool(nodes)

    def _end(self, verdict: Finished | Stop | PauseRun) -> PlayEnded:
        nodes = self._board.progress()
        reason = "" if isinstance(verdict, Finished) else verdict.reason
        if not any(one.state in (NodeState.NOT_STARTED, NodeState.RUNNING) for one in nodes):
            return PlayEnded(state=RunState.COMPLETED, reason=reason, nodes=nodes)
        state = RunState.PAUSED if isinstance(verdict, PauseRun) else RunState.STOPPED
        return PlayEnded(state=state, reason=reason, minimum=isinstance(verdict, Stop) and verdict.minimum, nodes=nodes)
