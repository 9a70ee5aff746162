"""Nodes that are not in touch with us: for how long they are waited for, and when they are called again. No effects."""

from clbalance.job import Lost
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName

_CALL_AGAIN_S = 0.5  # doubled with each call in vain
_CALL_AGAIN_AT_MOST_S = 5.0
_BACK_FOR_GOOD_S = 5.0


@dataclass(slots=True)
class _Absence:
    """One node's."""

    until: float
    end: Lost
    again_at: float
    calling: bool = False
    calls: int = 0
    back_at: float | None = None
    """When it was in touch again; not for long, and it is the same absence."""


class Absences:
    """All times are of one monotonic clock."""

    def __init__(self, patience_s: float) -> None:
        self.patience_s = patience_s
        self._by_node: dict[NodeName, _Absence] = {}

    def lose(self, node: NodeName, end: Lost, now: float) -> bool:
        """The connection is lost, or a call was in vain; whether a new absence begins with it."""
        known = self._by_node.get(node)
        if known is None or (known.back_at is not None and now - known.back_at > _BACK_FOR_GOOD_S):
            self._by_node[node] = _Absence(until=now + self.patience_s, end=end, again_at=now)
            return True
        known.calling, known.back_at, known.end = False, None, end
        known.again_at = now + min(_CALL_AGAIN_S * 2**known.calls, _CALL_AGAIN_AT_MOST_S)
        known.calls += 1
        return False

    def come_back(self, node: NodeName, now: float) -> None:
        """It is in touch."""
        if node in self._by_node:
            self._by_node[node].back_at = now

    def is_in_touch(self, node: NodeName) -> bool:
        """Whether it can be spoken to."""
        known = self._by_node.get(node)
        return known is None or known.back_at is not None

    def due(self, node: NodeName, now: float) -> Lost | bool:
        """Whether it is to be called now; a `Lost`, where it has been waited for long enough."""
        known = self._by_node.get(node)
        if known is None or known.calling or known.back_at is not None:
            return False
        if now >= known.until:
            return known.end
        known.calling = now >= known.again_at
        return known.calling
