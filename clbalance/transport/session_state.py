"""The state of one node's session, and the limits of retries."""

import time
from collections.abc import Sequence
from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.transport.session_client import SessionWorker
from clbalance.transport.ssh_failure import Failure

MOST_UNTAKEN_BYTES = 1 << 20
"""Of one node: more is not read before the engine has taken some."""
_SHARED_ANSWERS_WITHIN_S = 1.0
"""A connection that was there already, and does not bring the first line in this time, may be dead."""
_LINE_COST_BYTES = 256  # of Python's objects for one line


@dataclass(slots=True)
class SessionState:
    """The state of one node's session, written only by the transport thread, except for `taken_bytes`."""

    node: NodeName
    within_s: float | None
    opened: int
    ends_at: float | None = None
    worker: SessionWorker | None = None
    heard: bool = False
    """A line was received: the connection works, and nothing is sent a second time."""
    unanswered: list[bytes] = field(default_factory=list)
    """The text sent before the first line was received. A retry sends it again."""
    at_end: bool = False
    tries: int = 0
    first_try_at: float = 0.0
    not_before: float = 0.0
    no_sharing: bool = False
    on_shared_since: float | None = None
    """Since when it waits on a connection that was there already."""
    # Written by one thread each, so that they need no lock:
    read_bytes: int = 0
    """Read from the node and queued for the engine, by the transport thread."""
    taken_bytes: int = 0
    """Taken from the queue, by the engine's thread, which calls `next`."""
    is_paused: bool = False

    def begin(self, now: float) -> None:
        """A connection is begun; its deadline too, unless it goes on from a shared connection that hung."""
        self.tries += 1
        self.first_try_at = self.first_try_at or now
        if self.on_shared_since is None:
            self.ends_at = None if self.within_s is None else now + self.within_s
        self.on_shared_since = None

    def hangs_on_shared(self, now: float) -> bool:
        """Whether its shared connection should not be waited for any longer."""
        waits = self.worker is not None and self.on_shared_since is not None and not self.heard
        return waits and now - (self.on_shared_since or now) >= _SHARED_ANSWERS_WITHIN_S

    def bypass_sharing(self) -> None:
        """Let the next try have a connection of its own. This one did not count."""
        self.no_sharing = True
        self.tries -= 1

    @property
    def untaken_bytes(self) -> int:
        """Waiting in the queue."""
        return self.read_bytes - self.taken_bytes

    def must_pause(self) -> bool:
        """Whether nothing more is read now; notes that it is so."""
        self.is_paused = self.untaken_bytes >= MOST_UNTAKEN_BYTES
        return self.is_paused

    @property
    def may_go_on(self) -> bool:
        """Whether a pause is over."""
        return self.is_paused and self.untaken_bytes < MOST_UNTAKEN_BYTES // 2

    def may_try_again(self, failure: Failure, retries: "Retries") -> bool:
        """Whether another try can help, and is still in time."""
        if self.heard or not failure.again:
            return False
        if failure.cause is Cause.THROTTLED:
            return self.tries < retries.throttled_tries
        in_time = time.monotonic() - self.first_try_at < 0.5 * retries.connect_timeout_s
        return in_time and self.tries < retries.tries


def cost_of(lines: Sequence[bytes]) -> int:
    """What queued lines take, about."""
    return sum(map(len, lines)) + _LINE_COST_BYTES * len(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Limits of retries: `tries` within half of `connect_timeout_s`; `throttled_tries` if sshd throttles."""

    tries: int = 2
    throttled_tries: int = 8
    connect_timeout_s: float = 10.0
