"""When nodes are asked for further slots: ever more seldom, but soon after one has ended."""

from clbalance.ports import Clock

_AFTER_S = (5.0, 300.0)  # at first, and at most
_SOON_S = 1.0


class Growth:
    """Time for the next round."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._after_s = _AFTER_S[0]
        self._at = 0.0

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return self._clock.monotonic() >= self._at

    def later(self) -> None:
        """All have been asked."""
        self._at = self._clock.monotonic() + self._after_s
        self._after_s = min(2 * self._after_s, _AFTER_S[1])

    def soon(self) -> None:
        """A place has come free, or a node has failed."""
        self._at = min(self._at, self._clock.monotonic() + _SOON_S)
