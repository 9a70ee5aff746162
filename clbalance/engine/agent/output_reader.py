"""Read the output of copies: in order, and from each agent at most a window ahead of what was passed on."""

from typing import Any

from clbalance.engine.agent.copies import Copy
from clbalance.engine.agent.multiplexer import AgentChannel
from clbalance.engine.agent.protocol import Output
from clbalance.engine.agent.sessions import Agents
from clbalance.ports import RunListener

_WINDOW_BYTES = 1 << 20  # output per stream that an agent may send ahead of our acknowledgement
_ACK_EVERY_BYTES = _WINDOW_BYTES // 4


class OutputReader:
    """Requests the output of the copies of one claim, and passes it on to `listener`."""

    def __init__(self, agents: Agents | AgentChannel, label: str, listener: RunListener) -> None:
        self._agents = agents
        self._label = label
        self._listener = listener
        self.was_interrupted = False
        """A signal has ended a wait, and may have taken a piece with it."""

    def ask(self, copy: Copy, streams: tuple[str, ...], *, to_the_end: bool) -> None:
        """Request the output from the first byte that we do not have, to its end or only what is there by now."""
        copy.acked = dict(copy.received)
        offsets: dict[str, Any] = {stream: copy.received.get(stream, 0) for stream in streams}
        stop = "end" if to_the_end else "now"
        self._agents.ask(
            copy.node, "follow", job=self._label, window=_WINDOW_BYTES, streams=streams, stop=stop, **offsets
        )
        if not to_the_end:
            self._agents.expect(copy.node, "follow")

    def pass_on(self, copy: Copy, event: Output) -> bool:
        """Pass a piece on, and allow more. False: it is not the next one, or beyond the window."""
        stream, end = event.stream, event.offset + len(event.data)
        acked = copy.acked.get(stream, 0)
        received = copy.received.get(stream, 0)
        is_next = event.offset == received or (self.was_interrupted and event.offset > received)
        if not is_next or end > acked + _WINDOW_BYTES:
            return False
        self._agents.goes_on(copy.node)  # `current` or `ended` comes after all output
        # Counted first: a signal may come at any moment, and what was shown must not be sent again.
        copy.received[stream] = end
        self._listener.output(copy.node, stream, event.data)
        if end - acked >= _ACK_EVERY_BYTES:
            copy.acked[stream] = end
            self._agents.ask(copy.node, "ack", job=self._label, stream=stream, offset=end)
        return True
