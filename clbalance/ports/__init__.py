"""What the engine asks of the world, as Protocols. One contract suite per port runs over every implementation."""

from clbalance.ports.clock import Clock
from clbalance.ports.journal import Journal, TaskLog, WrittenTasks
from clbalance.ports.listeners import JobInput, RunListener, SweepListener, TaskListener
from clbalance.ports.sessions import Closed, Line, SessionEvent, Sessions, Transport
from clbalance.ports.store import Remembered, Samples, Store

__all__ = [
    "Clock",
    "Closed",
    "JobInput",
    "Journal",
    "Line",
    "Remembered",
    "RunListener",
    "Samples",
    "SessionEvent",
    "Sessions",
    "Store",
    "SweepListener",
    "TaskListener",
    "TaskLog",
    "Transport",
    "WrittenTasks",
]
