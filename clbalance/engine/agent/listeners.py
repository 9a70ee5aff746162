"""Listeners of a job: one that records events before passing them on, and ones that do nothing."""

from collections.abc import Mapping

from clbalance.engine.services import Services
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Outcome
from clbalance.model.task import TaskEnded, TaskProgress
from clbalance.ports import RunListener


class JournalingListener:
    """Records starts and ends, then passes all events on. A journal that fails here loses history, not the job."""

    def __init__(self, services: Services, job: JobSpec, listener: RunListener, *, copies: int) -> None:
        self._services = services
        self._job = job
        self._listener = listener
        self._to_start = copies

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._listener.migrating(job, node, reason)

    def waiting(self, reason: str) -> None:
        self._listener.waiting(reason)

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._listener.placed(job, plan)

    def warned(self, node: NodeName, text: str) -> None:
        self._listener.warned(node, text)

    def cut_off(self, node: NodeName) -> None:
        self._listener.cut_off(node)

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._listener.output(node, stream, piece)

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        if limits:
            with self._services.without_store():
                self._services.journal.limited(self._job.id, self._job.claim, node, limits)
        self._to_start -= 1
        if self._to_start == 0:
            self._services.fail_point("started")
            with self._services.without_store():
                self._services.journal.started(self._job.id, self._services.clock.now())
        self._listener.started(node, limits)

    def ended(self, outcome: Outcome) -> None:
        self._services.fail_point("ended")
        with self._services.without_store():
            self._services.journal.ended(self._job.id, self._job.claim, outcome)
        self._services.fail_point("recorded")
        self._listener.ended(outcome)


# Listeners that do nothing, for reading jobs without showing them.


class NullListener:
    """A `ports.RunListener` that does nothing."""

    def waiting(self, reason: str) -> None: ...

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None: ...

    def placed(self, job: JobSpec, plan: Plan) -> None: ...

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None: ...

    def warned(self, node: NodeName, text: str) -> None: ...

    def output(self, node: NodeName, stream: str, piece: bytes) -> None: ...

    def cut_off(self, node: NodeName) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


class NullTaskListener:
    """A `ports.TaskListener` that does nothing."""

    def waiting(self, reason: str) -> None: ...

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None: ...

    def warned(self, node: NodeName, text: str) -> None: ...

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None: ...

    def ended(self, ended: TaskEnded) -> None: ...

    def progressed(self, progress: TaskProgress) -> None: ...
