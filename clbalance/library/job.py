"""One job that was submitted: its state, its end, its output."""

from typing import Any

from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs import submitted
from clbalance.engine.services import Services
from clbalance.errors import UsageError
from clbalance.library.calls import Stop, carry_out, services_of
from clbalance.library.context import ProgramContext
from clbalance.library.values import JobStatus, Nodes
from clbalance.model import NodeName
from clbalance.model.job_record import JobRecord


class Job:
    """A job of this user on this host. It goes on without this object, and without this program.

    Each method asks the nodes. Thread-safe.
    """

    def __init__(self, context: ProgramContext, number: int) -> None:
        """`Cluster.submit` and `Cluster.job` make it."""
        self._context = context
        self._number = number

    def __repr__(self) -> str:
        return f"<clbalance.Job {self._number}>"

    @property
    def id(self) -> int:
        """Its number, as `clbalance jobs` shows it."""
        return self._number

    def status(self, *, timeout: float | None = None) -> JobStatus:
        """Its present state. `TimeoutError` after `timeout` seconds.

        `StoreError` if the state database cannot be read, `UsageError` if it has no such job.
        """

        def ask(stop: Stop) -> JobStatus:
            with services_of(self._context, stop) as services:
                return _status(submitted.refresh(services, [self._record(services)])[0].record)

        return carry_out(ask, timeout=timeout)

    def wait(self, *, timeout: float | None = None) -> JobStatus:
        """Wait until it is over, or its nodes do not answer any more. `TimeoutError` after `timeout` seconds.

        Neither a timeout nor Ctrl-C ends the job.
        """

        def wait(stop: Stop) -> JobStatus:
            with services_of(self._context, stop) as services:
                return _status(submitted.await_ends(services, [self._record(services)])[0].record)

        return carry_out(wait, timeout=timeout)

    def cancel(self, *, timeout: float | None = None) -> bool:
        """End it on its nodes. False: a node has not confirmed it; the job is ended once that node answers again."""

        def cancel(stop: Stop) -> bool:
            with services_of(self._context, stop) as services:
                record = self._record(services)
                if record.state.is_over:
                    return True
                return submitted.cancel(services, [record], "cancelled by a program")[0].record.state.is_over

        return carry_out(cancel, timeout=timeout)

    def stdout(self, *, timeout: float | None = None) -> bytes:
        """What it has written to its standard output so far, read from its nodes; several copies by their rank."""
        return self._read("stdout", timeout)

    def stderr(self, *, timeout: float | None = None) -> bytes:
        """The same of its standard error."""
        return self._read("stderr", timeout)

    def _read(self, stream: str, timeout: float | None) -> bytes:
        def read(stop: Stop) -> bytes:
            with services_of(self._context, stop) as services:
                record, found = self._record(services), _Output()
                submitted.read(services, record, found, streams=(stream,), to_the_end=False)
                return b"".join(found.pieces.get(node, b"") for node in dict.fromkeys(record.nodes))

        return carry_out(read, timeout=timeout)

    def _record(self, services: Services) -> JobRecord:
        record = services.journal.record(self._number)
        if record is None:
            raise UsageError(f"there is no job {self._number}", hint="`clbalance jobs --ended` shows all of them")
        return record


class _Output(NullListener):
    """Keeps the output of each copy."""

    def __init__(self) -> None:
        self.pieces: dict[NodeName, bytes] = {}

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self.pieces[node] = self.pieces.get(node, b"") + piece


def _status(record: JobRecord) -> JobStatus:
    facts: dict[str, Any] = {key: getattr(record, key) for key in ("id", "name", "reason", "submitted_at")}
    return JobStatus(
        **facts,
        state=record.state.value,
        nodes=Nodes.of(record.nodes),
        returncode=record.rc,
        is_over=record.state.is_over,
        started_at=record.started_at,
        ended_at=record.ended_at,
    )
