"""Run one command on many nodes at once, in their open shells. It ends with us, on the nodes too."""

from collections.abc import Callable, Sequence
from typing import Final, assert_never

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.policy.shell_command import (
    AFTER_COMMAND,
    AFTER_ENDED_COMMAND,
    END_COMMAND,
    CommandOutput,
    Ended,
    Started,
    command_request,
)
from clbalance.ports import Closed, Sessions
from clbalance.random_hex import random_hex

MOST_OUTPUT_BYTES: Final = 4 << 20
"""Of one node. More would fill our memory, and nobody reads it."""
_LISTEN_S = 1.0
_ENDS_WITHIN_S = 0.2  # a command that is asked to end; then its shell is closed, and kills it


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How the command went on one node: its exit code, or why there is none."""

    node: NodeName
    lines: tuple[bytes, ...]
    code: int | None = None
    cause: Cause | None = None
    reason: str = ""


def run_command(
    services: Services,
    nodes: Sequence[NodeName],
    command: str,
    *,
    on_result: Callable[[CommandResult], None] = lambda _: None,
    within_s: float | None = None,
) -> tuple[CommandResult, ...]:
    """The results, in the order of `nodes`. `on_result` gets each one as soon as it is there.

    `within_s`: how long the command may take on a node, after its start.
    """
    with services.transport.sessions() as sessions:
        running = _Running(services, sessions, command, on_result, within_s)
        for node in nodes:
            running.start(node)
        services.listener.asked(len(nodes))
        try:
            running.listen()
        except BaseException:
            running.end()
            raise
        finally:
            services.listener.done()
    return tuple(running.results[node] for node in nodes)


class _Running:
    """The nodes where the command runs, and the results of the others."""

    def __init__(
        self,
        services: Services,
        sessions: Sessions,
        command: str,
        on_result: Callable[[CommandResult], None],
        within_s: float | None,
    ) -> None:
        self._services = services
        self._sessions = sessions
        self._command = command
        self._on_result = on_result
        self._within_s = within_s
        self._after = AFTER_COMMAND
        self._outputs: dict[NodeName, CommandOutput] = {}
        self.results: dict[NodeName, CommandResult] = {}

    def start(self, node: NodeName) -> None:
        nonce = random_hex()
        self._outputs[node] = CommandOutput(nonce)
        self._sessions.open(node, within_s=self._services.answer_within_s)
        self._sessions.send(node, command_request(self._command, nonce))

    def listen(self) -> None:
        while self._outputs:
            self._services.listener.awaiting(self._outputs.keys())
            self._take(_LISTEN_S)

    def end(self) -> None:
        """End the command where it runs; it does not outlive its shell."""
        until_s = self._services.clock.monotonic() + _ENDS_WITHIN_S
        self._after = AFTER_ENDED_COMMAND
        for node in self._outputs:
            self._sessions.send(node, END_COMMAND)
        self._on_result = lambda _: None
        while self._outputs and (left_s := until_s - self._services.clock.monotonic()) > 0:
            self._take(left_s)

    def _take(self, timeout_s: float) -> None:
        event = self._sessions.next(timeout_s)
        if event is None or (output := self._outputs.get(event.node)) is None:
            return
        if isinstance(event, Closed):
            self._finish(event.node, cause=event.cause, reason=event.reason)
            return
        match output.feed(event.text):
            case None:
                if output.bytes > MOST_OUTPUT_BYTES:
                    reason = f"more than {MOST_OUTPUT_BYTES >> 20} MiB of output"
                    self._sessions.close(event.node)
                    self._finish(event.node, cause=Cause.GARBLED, reason=reason)
            case Started():
                self._sessions.set_deadline(event.node, self._within_s)
            case Ended(code=code):
                self._sessions.send(event.node, self._after)
                self._sessions.release(event.node)
                self._finish(event.node, code=code)
            case other:
                assert_never(other)

    def _finish(self, node: NodeName, *, code: int | None = None, cause: Cause | None = None, reason: str = "") -> None:
        lines = tuple(self._outputs.pop(node).lines)
        self.results[node] = CommandResult(node=node, lines=lines, code=code, cause=cause, reason=reason)
        self._on_result(self.results[node])
