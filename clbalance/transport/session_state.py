"""One node's session as the engine's thread keeps it, and when asking again is allowed."""

from dataclasses import field

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.transport.session_client import SessionWorker


@dataclass(slots=True)
class SessionState:
    """One node's state in the engine thread."""

    node: NodeName
    within_s: float | None
    opened: int
    ends_at: float | None = None
    worker: SessionWorker | None = None
    heard: bool = False
    """A line has come: the connection stands and nothing is ever sent twice."""
    unanswered: list[bytes] = field(default_factory=list)
    """What was sent before the first line; a second try sends it again."""
    at_end: bool = False
    tries: int = 0
    first_try_at: float = 0.0
    not_before: float = 0.0
    no_sharing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """When asking again is allowed: `tries` within half of `connect_timeout_s`; a throttling sshd, more often."""

    tries: int = 2
    throttled_tries: int = 8
    connect_timeout_s: float = 10.0
