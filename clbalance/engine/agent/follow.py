"""Follow the copies of a claim: their output and their ends, even if connections to their nodes are lost.

A lost connection is made again, and the node is asked for the state of its copy (docs/design/jobs.md). So to follow
a job that another process started is the same as to reconnect.
"""

from collections.abc import Mapping
from typing import Any, assert_never

from clbalance.engine.agent.copies import UNCONFIRMED, Copies, Copy, FollowMode, Phase, Reconnects
from clbalance.engine.agent.early_end import EarlyEnd
from clbalance.engine.agent.job_messages import end_of, usage_at_end
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.output_reader import OutputReader
from clbalance.engine.agent.protocol import (
    AgentError,
    AgentEvent,
    Current,
    Ended,
    Hello,
    InquiryAnswer,
    NotForFollow,
    Output,
    Refused,
    Started,
    Taken,
)
from clbalance.engine.agent.sessions import PROTOCOL, Agents
from clbalance.engine.services import Services
from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Cancelled, End, Lost, NodeFailed, NotStarted
from clbalance.ports import Closed, RunListener

_END_GRACE_S = 1.0  # between TERM and KILL when we are stopped
_END_ONLY_S = 0.6  # the last part of the time to end: ends must not wait behind output that is read too slowly
_UNSHOWN = "it printed faster than its output could be read: the last output is not shown"


class Follow:
    """Follows the copies of one claim until each has an end or is left running.

    `early_end`: what ends them before their own end.
    """

    def __init__(
        self,
        agents: Agents | AgentChannel,
        copies: Copies,
        services: Services,
        listener: RunListener,
        mode: FollowMode,
        *,
        limit_s: float | None,
        early_end: EarlyEnd | None = None,
    ) -> None:
        self._agents = agents
        self._early_end = early_end or EarlyEnd(services.clock)
        self._copies = copies
        self._clock = services.clock
        self._listener = listener
        self._output = OutputReader(agents, copies.label, listener)
        self._mode = mode
        self._limit_s = limit_s
        self._reconnects = Reconnects(2 * services.answer_within_s)
        self._current: set[NodeName] = set()
        self._ending: str | None = mode.end
        self._grace_s = _END_GRACE_S
        self._closed: set[NodeName] = set()
        self._mute = False
        self._ends_only = False

    # -- start, stop, and when it is over --------------------------------------------------------

    def call_all(self) -> None:
        """Call every node, to follow copies that another process started."""
        for copy in self._copies.unended():
            self._reconnects.call_first(copy.node, self._clock.monotonic())

    def to_the_end(self, within_s: float | None = None) -> None:
        """Follow until nothing is left to follow, or for `within_s` seconds."""
        self._agents.listen(self.on_event, self.is_over, within_s)

    def stop(self, reason: str, within_s: float, *, mute: bool) -> None:
        """End all copies, cancel those not started, and wait `within_s` seconds at most for their ends.

        Output is shown meanwhile. For the last part of that time, and when `mute` or once our output is not read any
        more, only ends are received.
        """
        until = self._clock.monotonic() + within_s
        self._mute, self._output.was_interrupted = mute, True
        before = {copy.node: dict(copy.received) for copy in self._copies}
        try:
            self.end_all(reason)
            if not mute:
                self.to_the_end(within_s - _END_ONLY_S)
        except BrokenPipeError:  # the reader of our output was stopped, too
            self._mute = True
        self._hear_ends_only(before)
        self.to_the_end(until - self._clock.monotonic())
        self.give_up()

    def give_up(self, reason: str = UNCONFIRMED, cause: Cause = Cause.TIMEOUT) -> None:
        """Follow no copy any further. Those that were told to end may do so later."""
        for copy in self._copies.unended():
            self._agents.hang_up(copy.node)
            self._end(copy, Lost(cause=cause, reason=reason))

    @property
    def all_started(self) -> bool:
        """Whether every copy has been started."""
        return all(copy.phase >= Phase.RUNNING for copy in self._copies)

    @property
    def is_in_touch(self) -> bool:
        """Whether every copy runs and its node is connected."""
        return all(copy.phase is Phase.RUNNING and self._reconnects.is_in_touch(copy.node) for copy in self._copies)

    @property
    def awaited(self) -> frozenset[NodeName]:
        """The nodes that are not connected, and are or will be called."""
        return frozenset(copy.node for copy in self._copies.unended() if not self._reconnects.is_in_touch(copy.node))

    def linger(self, within_s: float) -> None:
        """Give agents time to clean up after ended copies."""
        nodes = [copy.node for copy in self._copies]
        self._agents.listen(self.on_event, lambda: self._closed.issuperset(nodes), within_s)

    def is_over(self) -> bool:
        """Whether nothing is left to follow. Also does what is due: calls nodes again, heeds a cancel."""
        self._call_again()
        self.end_all(self._early_end.look(is_ending=self._ending is not None))
        left = self._copies.unended()
        seen = all(copy.node in self._current for copy in left)
        runs = self._mode.leave_when_started and self._ending is None and self.all_started
        if seen or runs:
            for copy in left:
                self._leave(copy)
            return True
        return False

    # -- events ----------------------------------------------------------------------------------

    def on_event(self, node: NodeName, event: AgentEvent | Closed) -> None:
        """Handle an event of one node."""
        if isinstance(event, Closed):
            self._closed.add(node)
        if node not in self._copies or self._copies[node].phase >= Phase.LEFT:
            return
        copy = self._copies[node]
        if isinstance(event, Closed):
            self._on_close(copy, event)
        elif isinstance(event, Taken):
            self._early_end.taken(event)
        else:
            self._reconnects.heard(node, self._clock.monotonic())
            self._react(copy, event)

    def _on_close(self, copy: Copy, event: Closed) -> None:
        if copy.phase < Phase.STARTING:
            copy.may_start_elsewhere = True
            self.not_started(copy, NotStarted(reason=event.cause.because(event.reason)))
        else:
            self._lose_touch(copy, Lost(cause=event.cause, reason=event.reason))

    def _react(self, copy: Copy, event: AgentEvent) -> None:
        if isinstance(event, NotForFollow):
            return
        match event:
            case Hello():
                self._inquire(copy, event)
            case InquiryAnswer():
                self._on_inquiry_answer(copy, event)
            case Started(warnings=warnings, limits=limits):
                self._started(copy, warnings, limits)
            case Refused(reason=reason, rc=rc):
                self.not_started(copy, NotStarted(reason=reason, rc=rc))
            case Output():
                self._pass_on(copy, event)
            case Ended():
                self._ended(copy, event)
            case Current():
                self._agents.answered(copy.node)
                self._current.add(copy.node)  # left with the others: if one did not start, this must end
            case AgentError(reason=reason, job=job):
                self._agent_error(copy, reason, job)
            case _:
                assert_never(event)

    def _started(self, copy: Copy, warnings: tuple[str, ...], limits: tuple[str, ...]) -> None:
        if copy.phase is not Phase.STARTING:
            return
        copy.phase = Phase.RUNNING
        copy.started_at = self._clock.monotonic()
        self._agents.answered(copy.node)
        for warning in (*copy.untold, *warnings):
            self._warn(copy, warning)
        self._early_end.started()
        self._listener.started(copy.node, limits)

    def _pass_on(self, copy: Copy, event: Output) -> None:
        if self._ends_only:
            return  # it was under way already; its agent does not wait for an acknowledgement any more
        if not self._output.pass_on(copy, event):
            self._hang_up(copy)
            self._lose_touch(copy, Lost(cause=Cause.GARBLED, reason=f"it sends {event.stream} that was not asked for"))

    def _ended(self, copy: Copy, event: Ended) -> None:
        copy.seconds, copy.usage = event.seconds, usage_at_end(event.usage)
        for warning in event.warnings:
            self._warn(copy, warning)
        self._end(copy, end_of(event.end, self._limit_s))  # recorded before its node forgets it
        if self._mode.retire and not self._ends_only:  # output that we have not read stays for the next reader
            work = self._mode.retire_work_only
            self._agents.ask(copy.node, "forget", last=True, job=self._copies.label, work=work)
        else:
            self._hang_up(copy)

    def _agent_error(self, copy: Copy, reason: str, job: str | None) -> None:
        if job is not None and not self._reconnects.is_in_touch(copy.node):  # it cannot tell the state of the copy
            self._hang_up(copy)
            self._lose_touch(copy, Lost(cause=Cause.STORAGE, reason=reason))
        else:
            self._warn(copy, reason)

    # -- disconnected nodes ----------------------------------------------------------------------

    def _lose_touch(self, copy: Copy, end: Lost) -> None:
        self.end_all(self._early_end.disconnected(end.cause.because(end.reason)))
        is_new = self._reconnects.disconnected(copy.node, end, self._clock.monotonic())
        if not (self._mode.persist and (self._mode.call_until_reached or self._reconnects.was_reached(copy.node))):
            self._end(copy, end)
        elif is_new and not self._mute:
            wait = f"trying to reach it again for {self._reconnects.timeout_s:g} s"
            self._listener.warned(copy.node, f"{end.cause.because(end.reason)}; {wait}")

    def _call_again(self) -> None:
        now = self._clock.monotonic()
        for copy in self._copies.unended():
            due = self._reconnects.next_attempt(copy.node, now)
            if copy.phase is Phase.ENDED:
                continue  # with another one
            if isinstance(due, Lost):
                self._end(copy, due)
            elif due:
                self._closed.discard(copy.node)
                self._agents.call(copy.node)

    def _inquire(self, copy: Copy, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            self._hang_up(copy)
            self._end(copy, Lost(cause=Cause.GARBLED, reason=f"the agent speaks protocol {hello.protocol}"))
            return
        self._ask(copy, "settle", boot_id=copy.boot_id, birth=copy.incarnation, void=self._mode.void)
        self._agents.expect(copy.node, "settle")

    def _on_inquiry_answer(self, copy: Copy, event: InquiryAnswer) -> None:
        if self._reconnects.is_in_touch(copy.node):
            return  # not asked
        self._agents.answered(copy.node)
        self._reconnects.reconnected(copy.node, self._clock.monotonic())
        match event.state:
            case "running" | "ended":
                self._started(copy, (), ())
                copy.began_at = None if event.seconds is None else self._clock.monotonic() - event.seconds
                self._order(copy)
                self.ask_for_output(copy)
            case "void":
                copy.may_start_elsewhere = True
                self.not_started(copy, NotStarted(reason="it had not started when the connection was lost"))
            case "gone":
                self._hang_up(copy)
                self._end(copy, NodeFailed(reason=event.reason))
            case "absent" | "claimed":
                self._current.add(copy.node)  # the process that starts it is still at work on it
            case _:
                assert_never(event.state)

    def _order(self, copy: Copy) -> None:
        if self._mode.signal is not None:
            self._ask(copy, "signal", signal=self._mode.signal)
        if self._ending is not None:
            self._ask(copy, "end", grace_s=self._grace_s, why=self._ending)
        elif self._mode.finish:
            self._ask(copy, "finish")

    def ask_for_output(self, copy: Copy) -> None:
        """Request the output of a copy, from the first byte that we do not have."""
        streams = () if self._ends_only else self._mode.streams
        self._output.ask(copy, streams, to_the_end=self._mode.to_the_end or self._ending is not None)

    def _hear_ends_only(self, before: Mapping[NodeName, Mapping[str, int]]) -> None:
        """Request no more output. `before`: the bytes received when the copies were told to end."""
        self._ends_only = True
        for copy in self._copies.unended():
            self._listener.cut_off(copy.node)
            if copy.phase >= Phase.STARTING and self._reconnects.is_in_touch(copy.node):
                self.ask_for_output(copy)
                if not self._mute and copy.received != before[copy.node]:
                    self._warn(copy, _UNSHOWN)

    def not_started(self, copy: Copy, end: NotStarted) -> None:
        """All copies or none: if one does not start, end the others."""
        self._hang_up(copy)
        self._end(copy, end)
        self.end_all(f"it could not start on {copy.node}")

    def end_all(self, reason: str, grace_s: float = _END_GRACE_S) -> None:
        """End copies that run, cancel those not started; disconnected nodes are told later. No reason: nothing."""
        if not reason:
            return
        self._ending = self._ending or reason
        self._grace_s = grace_s
        for copy in self._copies.unended():
            if copy.phase >= Phase.STARTING:
                if self._reconnects.is_in_touch(copy.node):
                    self._ask(copy, "end", grace_s=grace_s, why=reason)
                if copy.node in self._current:
                    self._current.discard(copy.node)
                    self.ask_for_output(copy)
            else:
                self._hang_up(copy)
                self._end(copy, Cancelled(reason=reason))

    def _end(self, copy: Copy, end: End) -> None:
        copy.phase = Phase.ENDED
        copy.end = end
        if copy.started_at is not None and not copy.seconds:
            copy.seconds = self._clock.monotonic() - copy.started_at
        self._listener.ended(copy.outcome(end))
        self.end_all(self._early_end.ended(copy))
        if self._early_end.is_silent(copy) and self._mode.to_the_end and self._ending is None:
            self.give_up(f"it holds its node for {copy.node}", Cause.NOT_AWAITED)

    def _leave(self, copy: Copy) -> None:
        copy.phase = Phase.LEFT
        self._hang_up(copy)

    def _hang_up(self, copy: Copy) -> None:
        self._agents.hang_up(copy.node)
        self._closed.add(copy.node)

    def _warn(self, copy: Copy, text: str) -> None:
        if copy.warn(text):
            self._listener.warned(copy.node, text)

    def _ask(self, copy: Copy, op: str, **fields: Any) -> None:
        self._agents.ask(copy.node, op, job=self._copies.label, **fields)
