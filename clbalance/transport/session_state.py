"""The state of one node's session, and the limits of retries."""

from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.transport.session_client import SessionWorker


@dataclass(slots=True)
class SessionState:
    """The state of one node's session, used only in the engine thread."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Limits of retries: `tries` within half of `connect_timeout_s`; `throttled_tries` if sshd throttles."""

    tries: int = 2
    throttled_tries: int = 8
    connect_timeout_s: float = 10.0
