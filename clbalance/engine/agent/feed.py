"""Pass standard input on to a running job (docs/design/input.md)."""

from clbalance.engine.agent.protocol import Taken
from clbalance.engine.agent.sessions import Agents
from clbalance.model import NodeName
from clbalance.ports import LiveInput

_WINDOW_BYTES = 512 << 10  # input that may be on its way: sent, and not taken by the job yet


class InputFeed:
    """Sends `source` to the copy on `node`, at the pace at which the job reads it."""

    def __init__(self, agents: Agents, node: NodeName, label: str, source: LiveInput) -> None:
        self._agents = agents
        self._node = node
        self._label = label
        self._source = source
        self._began = False
        self._sent_all = False
        self._sent = 0
        self._taken = 0
        self.is_over = False
        """The job needs no more input: it has all of it, or reads none any more."""

    def begin(self) -> None:
        """The job runs. Only now is standard input read."""
        if not (self._began or self.is_over):
            self._began = True
            self._source.begin(self._agents.wake)

    def taken(self, event: Taken) -> None:
        """The job has read so much."""
        self._taken = event.size
        self.is_over = self.is_over or event.over

    def pump(self) -> str | None:
        """Send what has been read meanwhile. The reason if standard input cannot be read any more."""
        while self._began and not (self.is_over or self._sent_all) and self._sent - self._taken < _WINDOW_BYTES:
            try:
                piece = self._source.take()
            except OSError as error:
                return error.strerror
            if piece is None:
                break
            self._sent += len(piece)
            self._sent_all = not piece
            self._agents.ask(self._node, "input", job=self._label, data=piece, complete=self._sent_all)
        return None

    def stop(self) -> bool:
        """Send no more. Returns whether the job lacks some of its input for that."""
        lacks, self.is_over = not self.is_over, True
        return lacks
