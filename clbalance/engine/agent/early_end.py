"""What ends copies of a followed job before their own end: a cancel, broken input, the end of the first copy."""

from collections.abc import Callable

from clbalance.engine.agent.copies import Copy
from clbalance.engine.agent.feed import InputFeed
from clbalance.engine.agent.protocol import Taken
from clbalance.model.job_record import Lost
from clbalance.policy.jobs.record import FIRST_IS_OVER, releases_others
from clbalance.ports import Clock

_LOOK_EVERY_S = 1.0  # for a request to cancel the job


class EarlyEnd:
    """Why a followed job has to be ended, once there is a reason.

    `cancel_requested`: who asked to cancel it, for its controller; empty: nobody. `feed`: its standard input, if that
    is ours. A job that lacks some of its input is ended, because it must not take a part for the whole. `first_node`:
    the other copies only hold their nodes for the first one.
    """

    def __init__(
        self,
        clock: Clock,
        cancel_requested: Callable[[], str] = lambda: "",
        *,
        feed: InputFeed | None = None,
        first_node: bool = False,
    ) -> None:
        self._clock = clock
        self._cancel_requested = cancel_requested
        self._feed = feed
        self._first_node = first_node
        self._look_at = clock.monotonic() + _LOOK_EVERY_S

    def started(self) -> None:
        """A copy runs: it may read its input."""
        if self._feed is not None:
            self._feed.begin()

    def taken(self, event: Taken) -> None:
        """The job has read a part of its input."""
        if self._feed is not None:
            self._feed.taken(event)

    def look(self, *, is_ending: bool) -> str:
        """Pass the input on, and look for a reason to end the job; empty: there is none. `is_ending`: it has one."""
        failure = None if self._feed is None else self._feed.pump()
        return (self.disconnected(failure) if failure else "") or ("" if is_ending else self._cancelled())

    def disconnected(self, why: str) -> str:
        """No more input can be passed on. The reason to end the job; empty: it has all of its input."""
        return f"its standard input broke off: {why}" if self._feed is not None and self._feed.stop() else ""

    def ended(self, copy: Copy) -> str:
        """A copy has its end. The reason to end the others; empty: they go on."""
        return FIRST_IS_OVER if self._first_node and releases_others(copy.rank, copy.end) else ""

    def is_silent(self, copy: Copy) -> bool:
        """Whether that copy has no known end, and the others have none before it: they hold their nodes for it."""
        return self._first_node and copy.rank == 0 and isinstance(copy.end, Lost)

    def _cancelled(self) -> str:
        now = self._clock.monotonic()
        if now < self._look_at:
            return ""
        self._look_at = now + _LOOK_EVERY_S
        return self._cancel_requested()
