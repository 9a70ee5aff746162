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
        stream, received = event.stream, copy.received.get(event.stream, 0)
        acked = copy.acked.get(stream, 0)
        if event.offset != received or received + len(event.data) > acked + _WINDOW_BYTES:
            return False
        self._agents.goes_on(copy.node)  # `current` or `ended` comes after all output
        # Counted first: a signal may end the next line anywhere, and the piece after it must still be the next one.
        copy.received[stream] = received = received + len(event.data)
        self._listener.output(copy.node, stream, event.data)
        if received - acked >= _ACK_EVERY_BYTES:
            copy.acked[stream] = received
            self._agents.ask(copy.node, "ack", job=self._label, stream=stream, offset=received)
        return True
