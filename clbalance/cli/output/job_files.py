"""The output files of a job, written while it runs (docs/design/job_output.md)."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError, StoreError
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec, OutputState
from clbalance.model.job_record import Lost, NotStarted, Outcome
from clbalance.model.task import TaskEnded, TaskProgress, TaskRecord
from clbalance.nodeset import NodeSets, fold
from clbalance.policy.jobs.task_records import unwritten
from clbalance.ports import RunListener, TaskListener
from clbalance.render.output.files import OutputFiles, TaskFiles
from clbalance.render.output.streams import STREAMS


@contextlib.contextmanager
def write_run_files(
    services: Services, files: FilePatterns, listener: RunListener, mode: FollowMode, *, copies: int | None
) -> Iterator[tuple[RunListener, FollowMode]]:
    """The listener and mode for a job with output files; unchanged without files, or if the job is left once started.

    The files of a job that is left are completed by a later command. `mode` with streams: the run is watched, and
    a file that cannot be written ends it. Else the error is recorded, and the job goes on.
    """
    if not files.any or mode.leave_when_started:
        yield listener, mode
        return
    writer = RunFileWriter(services, files, listener, is_watched=bool(mode.streams))
    # With several copies, a node must keep its output until the output of all copies is in the file.
    mode = replace(mode, streams=STREAMS, retire=mode.retire and copies == 1)
    with contextlib.closing(writer):
        yield writer, mode


def mark_output(services: Services, job: int, attempt: int, state: OutputState, reason: str = "") -> None:
    """Record how far the files are written. If that fails, it is no error: they are only written again."""
    try:
        services.journal.set_output(job, attempt, state, reason)
    except StoreError as error:
        services.listener.store_failed(error.message)


def conclude_task_files(services: Services, job: JobSpec, records: Sequence[TaskRecord]) -> None:
    """After a run of tasks: record the files as complete if the output of all tasks is in them."""
    if not unwritten(records, services.journal.written_tasks(job.id).all()):
        mark_output(services, job.id, job.attempt, OutputState.COMPLETE)


def _with_hint(error: ClbalanceError, job: int) -> ClbalanceError:
    """The error of a watched run, which does not end its job."""
    hint = f"the job keeps running: `clbalance jobs {job}` shows it, `clbalance cancel {job}` ends it"
    return ClbalanceError(error.message, hint=error.hint or hint)


class _ToListener:
    """`JobOutput` for the streams that go to no file: passes them to the listener."""

    def __init__(self, listener: RunListener) -> None:
        self._listener = listener

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._listener.output(node, stream, piece)

    def end(self, node: NodeName) -> None:
        """Nothing: `RunFileWriter` tells the listener about ends."""

    def close(self) -> None:
        """Nothing: the listener's creator closes it."""


class RunFileWriter:
    """`RunListener` that writes the files of a job and passes all the rest to `listener`.

    `is_watched`: a file that cannot be written ends the run with that error. Else the error is recorded, the job goes
    on, and a later command completes the file.
    """

    def __init__(self, services: Services, files: FilePatterns, listener: RunListener, *, is_watched: bool) -> None:
        self._services = services
        self._patterns = files
        self._listener = listener
        self._is_watched = is_watched
        self._job = self._attempt = 0
        self._files: OutputFiles | None = None
        self._running: set[NodeName] = set()
        self._is_whole = True

    def waiting(self, reason: str) -> None:
        self._listener.waiting(reason)

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._listener.migrating(job, node, reason)

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._listener.placed(job, plan)
        self.close()
        self._job, self._attempt, self._is_whole = job.id, job.attempt, True
        nodes = NodeSets(None).expand(fold(plan.chosen))
        self._running = set(nodes)
        names = self._patterns.names(job.id, job.attempt)
        self._try(lambda: self._open(OutputFiles(names, nodes, otherwise=_ToListener(self._listener))))

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        self._listener.started(node, limits)

    def warned(self, node: NodeName, text: str) -> None:
        self._listener.warned(node, text)

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        files = self._files
        if files is not None:
            self._try(lambda: files.write(node, stream, piece))

    def cut_off(self, node: NodeName) -> None:
        self._is_whole = False
        self._listener.cut_off(node)

    def ended(self, outcome: Outcome) -> None:
        files = self._files
        self._running.discard(outcome.node)
        if isinstance(outcome.end, Lost):
            self._is_whole = False
        elif files is not None and not isinstance(outcome.end, NotStarted):
            self._try(lambda: files.end(outcome.node))
        if not self._running and self._is_whole:  # before its node is told to forget the output
            mark_output(self._services, self._job, self._attempt, OutputState.COMPLETE)
        self._listener.ended(outcome)

    def close(self) -> None:
        """Close the files."""
        files, self._files = self._files, None
        if files is not None:
            self._try(files.close)

    def _open(self, files: OutputFiles) -> None:
        self._files = files

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ClbalanceError as error:
            self._is_whole, self._files = False, None
            mark_output(self._services, self._job, self._attempt, OutputState.PENDING, error.message)
            if self._is_watched:
                raise _with_hint(error, self._job) from error


class TaskFileWriter:
    """`TaskListener` that does the same for a job of tasks, and records each task whose output is in its files."""

    def __init__(self, services: Services, files: FilePatterns, listener: TaskListener, *, is_watched: bool) -> None:
        self._services = services
        self._patterns = files
        self._listener = listener
        self._is_watched = is_watched
        self._job = self._attempt = 0
        self._files: TaskFiles | None = None

    def waiting(self, reason: str) -> None:
        self._listener.waiting(reason)

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None:
        self._listener.placed(job, plan, slots)
        self._job, self._attempt = job.id, job.attempt
        goes_on = bool(self._services.journal.written_tasks(job.id).all())
        self._try(lambda: self._open(TaskFiles(self._patterns.names(job.id, job.attempt), goes_on=goes_on)))

    def warned(self, node: NodeName, text: str) -> None:
        self._listener.warned(node, text)

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        files = self._files
        if files is None or not files.takes(stream):
            self._listener.output(task, node, stream, piece)
        else:
            self._try(lambda: files.write(task, node, stream, piece))

    def ended(self, ended: TaskEnded) -> None:
        files = self._files
        if files is not None:
            self._try(lambda: files.end(ended.number, ended.node))
        if self._files is not None:
            self._remember(ended)
        self._listener.ended(ended)

    def progressed(self, progress: TaskProgress) -> None:
        self._listener.progressed(progress)

    def close(self) -> None:
        """Close the files."""
        if self._files is not None:
            self._files.close()
            self._files = None

    def _open(self, files: TaskFiles) -> None:
        self._files = files

    def _remember(self, ended: TaskEnded) -> None:
        try:
            self._services.journal.written_tasks(self._job).add(ended.claim, ended.number)
        except StoreError as error:
            self._services.listener.store_failed(error.message)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except ClbalanceError as error:
            self._files = None
            mark_output(self._services, self._job, self._attempt, OutputState.PENDING, error.message)
            if self._is_watched:
                raise _with_hint(error, self._job) from error
