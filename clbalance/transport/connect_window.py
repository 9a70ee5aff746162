"""How many connections are made at once: a window, in which a hung node holds no place for long."""

from itertools import islice, takewhile

from clbalance.model import NodeName

_LEAST = 4
_HOLDS_PLACE_S = 1.0  # longer than most logins take
_MOST_WINDOWS = 4  # of connections being made, with those that hold no place: all logins may be slow


class ConnectWindow:
    """The connections being made, from their begin to the node's first line or their end.

    One that takes longer than a second holds no place, so that hung nodes delay no other one for longer. All of them
    together are at most four windows: a cluster with slow logins is not asked all at once.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._began_at: dict[NodeName, float] = {}

    def begin(self, node: NodeName, now: float) -> None:
        """A connection is being made."""
        self._began_at.pop(node, None)  # the last begun stand last
        self._began_at[node] = now

    def end(self, node: NodeName) -> None:
        """It is made, has failed or was given up."""
        self._began_at.pop(node, None)

    def halve(self) -> None:
        """A server throttles."""
        self._size = min(self._size, max(_LEAST, self._size // 2))

    def free_places(self, now: float) -> int:
        """How many connections may be begun now."""
        most = min(self._size, _MOST_WINDOWS * self._size - len(self._began_at))
        recent = takewhile(lambda began_at: now - began_at < _HOLDS_PLACE_S, reversed(self._began_at.values()))
        held = sum(1 for _ in islice(recent, self._size))
        return max(0, min(self._size - held, most))
