"""Bring the results of jobs with `run --return` that are still on their nodes (docs/design/job_files.md).

Every verb that follows or changes jobs calls it. If nothing is pending, it costs one query.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path

from clbalance.cli.console import Console
from clbalance.cli.node_settings import working_directory
from clbalance.engine.jobs.submitted import spec_of
from clbalance.engine.services import Services
from clbalance.model import NodeName
from clbalance.model.job import JobSpec
from clbalance.model.job_files import ReturnRecord, ReturnState
from clbalance.render import messages
from clbalance.units import counted, format_size
from clbalance.user_files.trees.writing import TreeWriter, opened_folder

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
    from clbalance.engine.jobs.returns import NOT_STARTED, ReturnHow, pending_jobs, return_results

    how = ReturnHow(writer=_writer, within_s=None if is_asked else _WITHIN_S, keep_output=keep_output)
    is_whole = True
    with services.without_store():
        for job in pending_jobs(services, jobs):
            known = {(one.claim, one.rank): one.reason for one in services.journal.returns().of(job)}
            for one in return_results(services, job, how):
                is_whole &= one.state is ReturnState.COMPLETE
                is_news = one.state is not ReturnState.PENDING or one.reason != known.get((one.claim, one.rank))
                if is_news and one.reason != NOT_STARTED:
                    _tell(services, console, one)
        left = services.journal.returns().all(pending=True)
        is_whole &= not any(jobs is not None and one.job in jobs for one in left)
    return is_whole


def _tell(services: Services, console: Console, one: ReturnRecord) -> None:
    if one.state is ReturnState.COMPLETE:
        came = f"{counted(one.files, 'file')} ({format_size(one.size_bytes)}) of job {one.job} from {one.node}"
        into = folder_of(spec_of(services, record), one.job) if (record := services.journal.record(one.job)) else ""
        elsewhere = f" in {into}" if into != str(working_directory()) else ""
        console.say(messages.note(came + elsewhere + (f"; {one.reason}" if one.reason else "")))
        return
    if one.state is ReturnState.LOST:
        console.say(messages.warning(f"the results of job {one.job} on {one.node} are lost: {one.reason}"))
        return
    hint = f"`clbalance wait {one.job}` tries again"
    console.say(messages.warning(f"the results of job {one.job} are still on {one.node}: {one.reason}; {hint}"))


def folder_of(spec: JobSpec, number: int) -> str:
    """The folder here for the results of a job."""
    from clbalance.render.output.files import expand

    files = spec.files
    assert files is not None
    return expand(files.into, job_id=number, node=NodeName(""), attempt=spec.attempt)


@contextlib.contextmanager
def _writer(spec: JobSpec) -> Iterator[Callable[[], TreeWriter]]:
    """Make the folder for the results, and give what writes to it."""
    folder = folder_of(spec, spec.id)
    Path(folder).mkdir(parents=True, exist_ok=True)
    with opened_folder(folder) as opened:
        yield partial(TreeWriter, opened)
