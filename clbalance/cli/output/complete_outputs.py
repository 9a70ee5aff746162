"""Complete output files that were not written to their end, from the output that the nodes keep.

Every verb that follows or changes jobs calls it. If no file is pending, it costs one query (docs/design/job_output.md).
"""

import contextlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.render import messages

if TYPE_CHECKING:
    from clbalance.cli.output.completion import Completion

_AGAIN_S = 2.0  # time limit for nodes that did not answer the last time


def complete_outputs(
    services: Services, console: Console, *, again: bool = True, waited_for: Collection[int] = ()
) -> bool:
    """Write missing output, and bring the results of jobs that are over. Whether those `waited_for` are all here.

    Files that cannot be completed now stay pending, with one warning for each reason.
    `again`: also try what has failed the last time. `waited_for`: jobs whose results may take as long as they need.
    A `StoreError` only warns: what was asked for is done.
    """
    is_whole = True
    with services.without_store():
        _complete(services, console, again=again)
        if services.journal.returns().all(pending=True):
            from clbalance.cli.output.returns import bring_results  # few jobs have files that travel

            if waited_for:
                is_whole = bring_results(services, console, jobs=waited_for, is_asked=True)
            if again:
                bring_results(services, console)
    return is_whole


def _complete(services: Services, console: Console, *, again: bool) -> None:
    pending = [one for one in services.journal.outputs(pending=True) if again or not one.reason]
    if not pending:
        return
    from clbalance.cli.output.job_files import mark_output  # most calls have nothing pending (docs/design/startup.md)
    from clbalance.engine.jobs.collect import collect

    with services.journal.output_lock() as is_ours, contextlib.ExitStack() as files:
        if not is_ours:
            return
        found = {(one.job, one.attempt): one.reason for one in pending}
        wanted = [one for one in (_wanted(services, *key) for key in found) if one is not None]
        for one in wanted:  # a signal leaves no draft behind
            files.callback(one.close)
        fresh = [one for one in wanted if not found[one.job, one.attempt]]
        within_s = 2 * services.answer_within_s if fresh else _AGAIN_S
        fetches = [fetch for one in wanted for fetch in one.fetches]
        ends = iter(collect(services, fetches, within_s)) if fetches else iter(())
        for one in wanted:
            state, reason = one.finish([next(ends) for _ in one.fetches])
            if reason and reason != found[one.job, one.attempt]:
                console.say(messages.warning(f"the output files of job {one.job} are not complete: {reason}"))
            mark_output(services, one.job, one.attempt, state, reason)


def _wanted(services: Services, job: int, attempt: int) -> "Completion | None":
    """The files to complete; None if a controller writes them, or the attempt has not ended."""
    from clbalance.cli.output.completion import TaskCompletion, completion_of_copies
    from clbalance.cli.output.file_patterns import FilePatterns
    from clbalance.engine.jobs.submitted import spec_of

    record = services.journal.record(job)
    try:
        submitted = services.journal.submitted(job)
        spec = None if record is None else spec_of(services, record)
    except StoreError as error:
        services.listener.store_failed(error.message)
        return None
    if record is None or submitted is None or spec is None or record.has_controller:
        return None
    copies = [copy for copy in services.journal.copies(job) if copy.attempt == attempt]
    if any(copy.outcome is None for copy in copies):
        return None
    files = FilePatterns.of(submitted)
    if submitted.rules is not None:
        return TaskCompletion(services, spec, files, attempt)
    return completion_of_copies(record, spec, files, attempt, copies)
