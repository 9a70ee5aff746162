"""The interfaces that the engine needs, as Protocols. One contract suite per port tests every implementation."""

from clbalance.ports.links import Link, LinkError, Sftp, SftpFacts, SftpWriter
from clbalance.ports.listeners import (
    FileListener,
    InputOf,
    JobInput,
    LiveInput,
    RunListener,
    SweepListener,
    TaskListener,
)
from clbalance.ports.returns import Returns
from clbalance.ports.store import IndexValues, JobLock, Journal, Remembered, Store
from clbalance.ports.task_logs import TaskLog, WrittenTasks
from clbalance.ports.transport import Clock, Closed, Line, SessionEvent, Sessions, SlurmNodes, Transport

__all__ = [
    "Clock",
    "Closed",
    "FileListener",
    "IndexValues",
    "InputOf",
    "JobInput",
    "JobLock",
    "Journal",
    "Line",
    "Link",
    "LinkError",
    "LiveInput",
    "Remembered",
    "Returns",
    "RunListener",
    "SessionEvent",
    "Sessions",
    "Sftp",
    "SftpFacts",
    "SftpWriter",
    "SlurmNodes",
    "Store",
    "SweepListener",
    "TaskListener",
    "TaskLog",
    "Transport",
    "WrittenTasks",
]
