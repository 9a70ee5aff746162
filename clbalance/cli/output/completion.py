"""Complete the output files of one attempt, of an ordinary job or a job of tasks, from the output its nodes keep."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.engine.agent.job_messages import TaskFinished
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.collect import Fetch
from clbalance.engine.jobs.conclude_tasks import recorded_tasks
from clbalance.engine.services import Services
from clbalance.engine.tasks.slot_reader import SlotReader
from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job import JobSpec, OutputState
from clbalance.model.job_record import CopyRecord, JobRecord, Lost, NodeFailed, NotStarted, Outcome
from clbalance.policy.jobs.outcome import reason_of
from clbalance.policy.jobs.task_records import unwritten
from clbalance.ports import WrittenTasks
from clbalance.render.output.files import OutputFiles, TaskFiles
from clbalance.render.output.streams import STREAMS

_NOT_A_FILE = "only a regular file can be completed later; `clbalance logs` has the output"


class Completion(Protocol):
    """The completion of the files of one attempt."""

    @property
    def job(self) -> int: ...

    @property
    def attempt(self) -> int: ...

    @property
    def fetches(self) -> tuple[Fetch, ...]:
        """The output that must be fetched from nodes."""
        ...

    def finish(self, ends: Sequence[Sequence[Outcome]]) -> tuple[OutputState, str]:
        """Called after the fetches, with the outcomes of the copies for each of `fetches`.

        Returns the state of the files, and why they are not complete.
        """
        ...

    def close(self) -> None:
        """Close the files; drafts that were not finished are deleted. Harmless the second time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Nothing:
    """Files for which nothing can be fetched, or nothing has to be."""

    job: int
    attempt: int
    state: OutputState
    reason: str = ""
    fetches: tuple[Fetch, ...] = ()

    def finish(self, ends: Sequence[Sequence[Outcome]]) -> tuple[OutputState, str]:
        return self.state, self.reason

    def close(self) -> None: ...


def _is_replaced(files: FilePatterns, record: JobRecord, attempt: int) -> bool:
    """Whether a later attempt writes to files of the same names."""
    node = NodeName("node")
    names = [[files.names(record.id, one).of(node, stream) for stream in STREAMS] for one in (attempt, record.attempt)]
    return attempt < record.attempt and names[0] == names[1]


def completion_of_copies(
    record: JobRecord, spec: JobSpec, files: FilePatterns, attempt: int, copies: Sequence[CopyRecord]
) -> Completion:
    """The completion for an attempt of an ordinary job. The attempt must have ended."""
    ran = [copy for copy in copies if copy.outcome is not None and not isinstance(copy.outcome.end, NotStarted)]
    if not ran:
        return _Nothing(job=record.id, attempt=attempt, state=OutputState.COMPLETE)
    if _is_replaced(files, record, attempt):
        reason = f"they were replaced by those of attempt {record.attempt}"
        return _Nothing(job=record.id, attempt=attempt, state=OutputState.LOST, reason=reason)
    names = files.names(record.id, attempt)
    nodes = [copy.intent.node for copy in ran]
    paths = {names.of(node, stream) for node in nodes for stream in STREAMS}
    if paths <= {None, os.devnull}:
        return _Nothing(job=record.id, attempt=attempt, state=OutputState.COMPLETE)
    if any(Path(path).exists() and not Path(path).is_file() for path in paths if path is not None):
        return _Nothing(job=record.id, attempt=attempt, state=OutputState.LOST, reason=_NOT_A_FILE)
    try:
        output = OutputFiles(names, nodes, otherwise=_Discarded(), whole=True)
    except ClbalanceError as error:
        return _Nothing(job=record.id, attempt=attempt, state=OutputState.PENDING, reason=error.message)
    return _CopyCompletion(replace(spec, attempt=attempt, claim=ran[0].claim), tuple(ran), output)


class _CopyCompletion:
    """Fetches all output of all copies again, and replaces the content of the files with it."""

    def __init__(self, spec: JobSpec, copies: tuple[CopyRecord, ...], output: OutputFiles) -> None:
        self.job = spec.id
        self.attempt = spec.attempt
        self._listener = _CopiesListener(output)
        self.fetches = (Fetch(spec=spec, copies=copies, streams=STREAMS, listener=self._listener),)

    def finish(self, ends: Sequence[Sequence[Outcome]]) -> tuple[OutputState, str]:
        return self._listener.finish(ends[0], copies=len(self.fetches[0].copies))

    def close(self) -> None:
        self._listener.close()


class _Discarded:
    """`JobOutput` for streams that go to no file."""

    def write(self, node: NodeName, stream: str, piece: bytes) -> None: ...

    def end(self, node: NodeName) -> None: ...

    def close(self) -> None: ...


class _CopiesListener(NullListener):
    """Gets the output of an attempt's copies again from the beginning, and writes their files."""

    def __init__(self, output: OutputFiles) -> None:
        self._files = output
        self._trouble = ""

    def warned(self, node: NodeName, text: str) -> None:
        self._trouble = self._trouble or f"{node}: {text}"

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        if not self._trouble:
            self._try(lambda: self._files.write(node, stream, piece))

    def ended(self, outcome: Outcome) -> None:
        if not self._trouble and not isinstance(outcome.end, Lost | NotStarted):
            self._try(lambda: self._files.end(outcome.node))

    def finish(self, outcomes: Sequence[Outcome], *, copies: int) -> tuple[OutputState, str]:
        """Put the files in their places if they are whole. The state of the files, and why they are not complete."""
        gone = next((one for one in outcomes if isinstance(one.end, NodeFailed)), None)
        lost = next((one for one in outcomes if isinstance(one.end, Lost)), None)
        if gone is not None:
            self._trouble = f"{gone.node}: {reason_of(gone.end)}"
        elif lost is not None:
            self._trouble = f"{lost.node}: {reason_of(lost.end)}"
        elif len(outcomes) < copies:
            self._trouble = self._trouble or "not every node has answered"
        if not self._trouble:
            self._try(self._files.keep)
        self.close()
        if not self._trouble:
            return OutputState.COMPLETE, ""
        return (OutputState.PENDING if gone is None else OutputState.LOST), self._trouble

    def close(self) -> None:
        """Close the files, or delete their drafts."""
        self._try(self._files.close)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except (ClbalanceError, OSError) as error:
            self._trouble = self._trouble or (error.message if isinstance(error, ClbalanceError) else str(error))


class TaskCompletion:
    """The completion for a job of tasks: fetches output of tasks that is not in the files, from their slots."""

    def __init__(self, services: Services, spec: JobSpec, files: FilePatterns, attempt: int) -> None:
        self.job = spec.id
        self.attempt = attempt
        journal = services.journal
        written = journal.written_tasks(spec.id)
        before = written.all()
        missing = unwritten(recorded_tasks(journal, spec.id), before)
        self._files = TaskFiles(files.names(spec.id, attempt), goes_on=bool(before))
        self._listeners: list[_SlotListener] = []
        fetches = []
        for copy in (copy for copy in journal.copies(spec.id) if copy.attempt == attempt):
            some = {one.task.number: one.node for one in missing if one.claim == copy.claim and one.node is not None}
            if some:
                slot = _SlotListener(self._files, written, copy.claim, some)
                of_slot = replace(spec, attempt=attempt, claim=copy.claim)
                self._listeners.append(slot)
                fetches.append(Fetch(spec=of_slot, copies=(copy,), streams=(*STREAMS, "log"), listener=slot))
        self.fetches = tuple(fetches)

    def finish(self, ends: Sequence[Sequence[Outcome]]) -> tuple[OutputState, str]:
        troubles = [slot.finish(outcomes) for slot, outcomes in zip(self._listeners, ends, strict=True)]
        self.close()
        reason = next((one for one in troubles if one), "")
        return (OutputState.PENDING if reason else OutputState.COMPLETE), reason

    def close(self) -> None:
        self._files.close()


class _SlotListener(SlotReader):
    """Gets the output of a slot again from the beginning, and writes the files of its `missing` tasks."""

    def __init__(self, files: TaskFiles, written: WrittenTasks, claim: int, missing: dict[int, NodeName]) -> None:
        super().__init__(self)
        self._files = files
        self._written = written
        self._claim = claim
        self._missing = missing
        self._trouble = ""

    def warned(self, node: NodeName, text: str) -> None:
        self._trouble = self._trouble or f"{node}: {text}"

    def wrote(self, number: int, stream: str, piece: bytes) -> None:
        if number in self._missing:
            self._try(lambda: self._files.write(number, self._missing[number], stream, piece))

    def finished(self, entry: TaskFinished) -> None:
        self._end(entry.number)

    def finish(self, outcomes: Sequence[Outcome]) -> str:
        """Why the files are not complete; empty: they are."""
        lost = next((one for one in outcomes if isinstance(one.end, Lost)), None)
        if lost is not None or not outcomes:
            return self._trouble or (reason_of(lost.end) if lost else "not every node has answered")
        self._splitter.close()
        for number in tuple(self._missing):  # killed with their slot, so that its log has no end for them
            self._end(number)
        return self._trouble

    def _end(self, number: int) -> None:
        node = self._missing.get(number)
        if node is not None:
            self._try(lambda: self._files.end(number, node))
            if not self._trouble:
                self._written.add(self._claim, number)
                del self._missing[number]

    def _try(self, write: Callable[[], None]) -> None:
        if self._trouble:
            return
        try:
            write()
        except ClbalanceError as error:
            self._trouble = error.message
