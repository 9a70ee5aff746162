"""Bring the results of jobs that are over from their nodes, and record what came (docs/design/job_files.md).

Whoever looks at jobs does it: a run, a detached controller, or the next command.
"""

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.jobs.collect import Fetch, collect
from clbalance.engine.jobs.conclude_tasks import recorded_tasks
from clbalance.engine.jobs.submitted import spec_of
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import top_of
from clbalance.model.job import JobSpec
from clbalance.model.job_files import ReturnRecord, ReturnState
from clbalance.model.job_record import CopyRecord, JobRecord
from clbalance.policy.jobs.job_files import copy_of, has_results, is_due, is_kept
from clbalance.policy.jobs.task_files import for_task, result_ending
from clbalance.units import counted
from clbalance.user_files.trees.writing import TreeWriter

NOT_STARTED = "it was not started"
NOTHING_WANTED = "nothing was to be returned"
_LOOK_AGAIN_S = 0.2

if TYPE_CHECKING:  # imported when there is something to bring
    from clbalance.engine.files.results import Brought, Wanted
    from clbalance.engine.files.transfers import Transfers


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnHow:
    """How results are brought."""

    writer: Callable[[JobSpec, int | None], contextlib.AbstractContextManager[Callable[[], TreeWriter]]]
    """Makes the folder here for the results of a job, or of one of its tasks, and what writes to it.

    Without a task, the folder that all its folders are in. `ClbalanceError` if that cannot be. Called in any thread.
    """
    within_s: float | None = None
    """For each job; the rest comes another time. None: as long as it takes."""
    keep_output: bool = True
    """What the job has printed stays on the nodes."""


def pending_jobs(services: Services, jobs: Collection[int] | None = None) -> tuple[int, ...]:
    """The jobs that have results to bring. `jobs`: only of these; None: of all."""
    found = dict.fromkeys(one.job for one in services.journal.returns().all(pending=True))
    return tuple(job for job in found if jobs is None or job in jobs)


def return_results(services: Services, job: int, how: ReturnHow) -> tuple[ReturnRecord, ...]:
    """Bring what is due of a job; the records that have changed.

    If another process does it, that is waited for, unless the time is limited.
    """
    while True:
        with services.journal.returns().lock(job) as is_ours:
            if is_ours:
                return _returned(services, job, how)
        if how.within_s is not None:
            return ()
        services.clock.pause(_LOOK_AGAIN_S)


def _returned(services: Services, job: int, how: ReturnHow) -> tuple[ReturnRecord, ...]:
    journal = services.journal
    record = journal.record(job)
    if record is None:
        return ()
    copies = journal.copies(job)
    pending = [one for one in journal.returns().of(job) if one.state is ReturnState.PENDING]
    due = [one for one in pending if is_due(one, record, copies)]
    if not due:
        return ()
    came = tuple(_without_files(services, record, due, copies))
    left = [one for one in due if (one.claim, one.rank) not in {(done.claim, done.rank) for done in came}]
    if left:
        came += _brought(services, record, left, copies, how)
    services.fail_point("returned")
    for one in came:
        journal.returns().put(one)
    services.fail_point("return-recorded")
    _remove(services, record, [one for one in came if one.state is ReturnState.COMPLETE], copies, how)
    return came


def _without_files(
    services: Services, record: JobRecord, due: Sequence[ReturnRecord], copies: Sequence[CopyRecord]
) -> Iterator[ReturnRecord]:
    """Those for which no node has to be asked."""
    files = spec_of(services, record).files
    for one in due:
        copy = copy_of(one, copies)
        if files is None or not files.returned:
            yield replace(one, state=ReturnState.COMPLETE, reason=NOTHING_WANTED)
        elif copy is not None and not has_results(copy):
            yield replace(one, state=ReturnState.COMPLETE, reason=NOT_STARTED)
        elif not is_kept(one, record, services.clock.now()):
            yield replace(one, state=ReturnState.LOST, reason=f"not returned in time: {one.reason or 'nobody asked'}")


def _brought(
    services: Services, record: JobRecord, due: Sequence[ReturnRecord], copies: Sequence[CopyRecord], how: ReturnHow
) -> tuple[ReturnRecord, ...]:
    from clbalance.engine.files.fetch import Space
    from clbalance.engine.files.results import ResultFolder, bring_results
    from clbalance.engine.files.transfers import PassedOn

    spec = spec_of(services, record)
    services = services.as_user(spec.user)
    try:
        wanted = _wanted(services, spec, copies, how)
        folders = [ResultFolder(node=one.node, folder=one.folder, wanted=wanted(one)) for one in due]
        with how.writer(spec, None) as writer, writer() as target:
            space = Space(target.free_bytes())
        with _in_time(services, how.within_s) as transfers:
            listener = PassedOn(services.file_listener(), partial(services.fail_point, "returning"))
            brought = bring_results(transfers, folders, space=space, listener=listener)
    except (ClbalanceError, OSError) as error:
        reason = error.message if isinstance(error, ClbalanceError) else f"{error.filename}: {error.strerror}"
        return tuple(replace(one, reason=reason) for one in due)
    return tuple(_record(one, came) for one, came in zip(due, brought, strict=True))


def _wanted(
    services: Services, spec: JobSpec, copies: Sequence[CopyRecord], how: ReturnHow
) -> Callable[[ReturnRecord], tuple["Wanted", ...]]:
    """What is wanted of a copy. Of a slot: the results of the tasks that have ended there."""
    from clbalance.engine.files.results import Wanted

    files = spec.files
    assert files is not None, "it has results"
    if not spec.slots:
        has_several = sum(copy.attempt == spec.attempt for copy in copies) > 1
        writer = partial(how.writer, spec, None)
        return lambda one: (
            Wanted(
                below="",
                patterns=files.returned,
                ending=f".{one.node}" if has_several else "",
                writer=writer,
            ),
        )
    by_claim: dict[int, list[Wanted]] = {}
    for task in recorded_tasks(services.journal, spec.id):
        if task.end is not None:
            number = task.task.number
            by_claim.setdefault(task.claim, []).append(
                Wanted(
                    below=str(number),
                    patterns=tuple(for_task(pattern, number) for pattern in files.returned),
                    ending=result_ending(files, number),
                    inputs=frozenset(top_of(sent.name) for sent in files.sent),
                    writer=partial(how.writer, spec, number),
                )
            )
    return lambda one: tuple(by_claim.get(one.claim, ()))


@contextlib.contextmanager
def _in_time(services: Services, within_s: float | None) -> Iterator["Transfers"]:
    """What carries the files; it is closed after that time."""
    transfers = services.transfers(services)
    timer = None if within_s is None else threading.Timer(within_s, transfers.close)
    if timer is not None:
        timer.daemon = True
        timer.start()
    try:
        yield transfers
    finally:
        if timer is not None:
            timer.cancel()
        transfers.close()


def _record(one: ReturnRecord, brought: "Brought") -> ReturnRecord:
    result = brought.result
    files, size = result.sent + result.same, result.sent_bytes
    if brought.is_gone:
        return replace(one, state=ReturnState.LOST, reason=result.failure or "")
    if result.failure is not None:
        return replace(one, reason=result.failure, files=files, size_bytes=size)
    notes = list(_unmatched(brought.unmatched))
    notes += result.warnings[:1]
    return replace(one, state=ReturnState.COMPLETE, reason="; ".join(notes), files=files, size_bytes=size)


def _unmatched(patterns: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The patterns that match nothing, and in how many tasks."""
    if not patterns:
        return
    folder, pattern = patterns[0]
    tasks = len({one for one, _ in patterns})
    if not folder:
        yield from (f"nothing matches {pattern!r}" for _, pattern in patterns)
    elif tasks == 1:
        yield f"nothing matches {pattern!r} in task {folder}"
    else:
        yield f"nothing matches {pattern!r} in task {folder}, and so in {counted(tasks - 1, 'other task')}"


def _remove(
    services: Services,
    record: JobRecord,
    came: Sequence[ReturnRecord],
    copies: Sequence[CopyRecord],
    how: ReturnHow,
) -> None:
    """Remove what has come from its nodes, now that this is recorded. `reap` does it later where that fails."""
    spec = spec_of(services, record)
    fetches = [
        Fetch(
            spec=replace(spec, claim=one.claim),
            copies=(copy,),
            streams=(),
            listener=NullListener(),
            remove=True,
            keep_output=how.keep_output,
        )
        for one in came
        if (copy := copy_of(one, copies)) is not None
    ]
    if fetches:
        collect(services, fetches, services.answer_within_s)
