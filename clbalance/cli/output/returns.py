"""Bring the results of jobs with `run --return` that are still on their nodes (docs/design/job_files.md).

Every verb that follows or changes jobs calls it. If nothing is pending, it costs one query.
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.engine.jobs.submitted import spec_of
from clbalance.engine.services import Services
from clbalance.model import NodeName
from clbalance.model.job import JobSpec
from clbalance.model.job_files import ReturnRecord, ReturnState
from clbalance.nodeset import fold
from clbalance.policy.jobs.task_files import names_the_task
from clbalance.render import messages
from clbalance.units import counted, format_size
from clbalance.user_files.trees.writing import TreeWriter, opened_folder
from clbalance.wiring.folders import working_directory

_WITHIN_S = 10.0
"""For each job, in a command that was called for something else."""


def bring_results(
    services: Services,
    console: Console,
    *,
    jobs: Collection[int] | None = None,
    is_asked: bool = False,
    keep_output: bool = True,
) -> bool:
    """Bring what is due, and tell what came. Whether nothing of these jobs (None: of all) is left on a node.

    `is_asked`: the command waits for that; else what takes long comes another time.
    """
    from clbalance.engine.jobs.returns import NOT_STARTED, NOTHING_WANTED, ReturnHow, pending_jobs, return_results

    how = ReturnHow(writer=_writer, within_s=None if is_asked else _WITHIN_S, keep_output=keep_output)
    is_whole = True
    with services.without_store():
        for job in pending_jobs(services, jobs):
            known = {(one.claim, one.rank): one.reason for one in services.journal.returns().of(job)}
            changed = return_results(services, job, how)
            is_whole &= all(one.state is ReturnState.COMPLETE for one in changed)
            news = [
                one
                for one in changed
                if (one.state is not ReturnState.PENDING or one.reason != known.get((one.claim, one.rank)))
                and one.reason not in (NOT_STARTED, NOTHING_WANTED)
            ]
            for some in _told_together(news):
                _tell(services, console, some)
        left = services.journal.returns().all(pending=True)
        is_whole &= not any(jobs is not None and one.job in jobs for one in left)
    return is_whole


def _told_together(records: Iterable[ReturnRecord]) -> Iterator[list[ReturnRecord]]:
    """Copies whose results are in one state for one reason."""
    found: dict[tuple[ReturnState, str], list[ReturnRecord]] = {}
    for one in records:
        found.setdefault((one.state, one.reason), []).append(one)
    yield from found.values()


def _tell(services: Services, console: Console, some: Sequence[ReturnRecord]) -> None:
    job, reason, nodes = some[0].job, some[0].reason, fold(one.node for one in some)
    match some[0].state:
        case ReturnState.COMPLETE:
            size = format_size(sum(one.size_bytes for one in some))
            came = f"{counted(sum(one.files for one in some), 'file')} ({size}) of job {job} from {nodes}"
            into = folder_of(spec_of(services, record), job) if (record := services.journal.record(job)) else ""
            elsewhere = f" in {into}" if into != str(working_directory()) else ""
            console.say(messages.note(came + elsewhere + (f"; {reason}" if reason else "")))
        case ReturnState.LOST:
            console.say(messages.warning(f"the results of job {job} on {nodes} are lost: {reason}"))
        case ReturnState.PENDING:
            hint = f"`clbalance wait {job}` tries again"
            console.say(messages.warning(f"the results of job {job} are still on {nodes}: {reason}; {hint}"))


def folder_of(spec: JobSpec, number: int, task: int | None = None) -> str:
    """The folder here for the results of a job, or of a task; without a task, the one that those of all are in."""
    from clbalance.render.output.files import expand

    files = spec.files
    assert files is not None
    into = files.into
    if task is None and spec.slots and names_the_task(into):
        fixed = takewhile(lambda part: not names_the_task(part), into.split("/"))
        into = "/".join(fixed) or "/"
    return expand(into, job_id=number, node=NodeName(""), attempt=spec.attempt, task=task)


@contextlib.contextmanager
def _writer(spec: JobSpec, task: int | None) -> Iterator[Callable[[], TreeWriter]]:
    """Make the folder for the results, and give what writes to it."""
    folder = folder_of(spec, spec.id, task)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with opened_folder(folder) as opened:
        yield partial(TreeWriter, opened)
