"""Report how a run ended, for `run` and `requeue`."""

import signal
from dataclasses import replace

from clbalance.cli.console import Console
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.placement_remarks import force_hint, left_out
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import PlacementQuery
from clbalance.errors import ClbalanceError, ExitCode, NotRunError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import JobRecord, JobState, NotStarted
from clbalance.nodeset import Candidates, NodeSets, fold
from clbalance.policy.jobs.outcome import run_exit_code
from clbalance.render import messages
from clbalance.render.reports.jobs.run import JobReport, JobResult, JobResults, NewJob
from clbalance.wiring.nothing_fits import nothing_fits


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOptions:
    """How the end of a run is reported."""

    detached: bool
    """Print the job's number, and report more only if it failed to start."""
    explain: bool = False
    """If nothing fits, give the reason for each node."""
    is_folded: bool = False
    """Nodes that ended alike are one row."""
    strict: bool = False
    """A node that `--pick all` left out counts as one on which the job did not run."""


def run_ended(
    result: RunResult,
    candidates: Candidates,
    console: Console,
    files: FilePatterns,
    how: EndOptions,
    *,
    query: PlacementQuery | None = None,
) -> int:
    """Report how a run ended; the exit code. Raises `NothingFitsError` or `NotRunError` for a job that was not placed.

    `files`: of its output. `query`: to say whether `--force` would help.
    """
    dispatched = result.dispatched
    if result.queued is not None:
        return report_queued(result.job, result.queued, console, detached=how.detached)
    if dispatched is None:
        if how.explain:
            console.explain(result.plan)
        if result.cancelled:
            raise NotRunError(f"job {result.job.id} was cancelled before it could be started")
        raise not_placed(result.plan, candidates, explained=how.explain, query=query)
    number, outcomes = result.job.id, dispatched.outcomes
    if how.detached and result.has_started:
        console.show(NewJob(_running(result)))
        if not any(isinstance(outcome.end, NotStarted) for outcome in outcomes):
            return ExitCode.DONE
    console.stopped(dispatched.interrupted)
    goes_on = dispatched.interrupted == signal.SIGHUP and len(outcomes) < len(result.plan.chosen)
    if goes_on:
        console.say(messages.note(f"job {number} keeps running; `clbalance attach {number}` follows it"))
    elif dispatched.interrupted != signal.SIGPIPE or not console.quiet:  # `| head` wanted no more
        console.tell_end(_report(result, is_folded=how.is_folded))
    if not how.detached and dispatched.interrupted != signal.SIGPIPE:
        console.show(JobResults((_running(result) if goes_on else _result(result, console, files),)))
    code = run_exit_code(outcomes, dispatched.interrupted)
    return max(code, ExitCode.NOT_RUN_TO_ITS_END) if how.strict and left_out(result.plan) else code


def report_queued(job: JobSpec | JobRecord, reason: str, console: Console, *, detached: bool) -> int:
    """Say that a job is queued; the exit code. Without `detached`, 125: the user wanted it to run now."""
    queued = _new(job, JobState.PENDING, reason)
    console.show(NewJob(queued) if detached else JobResults((queued,)))
    console.say(messages.note(f"job {job.id} waits: {reason}; `clbalance rebalance --apply` starts it"))
    return ExitCode.DONE if detached else ExitCode.NOT_RUN_TO_ITS_END


def tell_accepted(job: JobSpec | JobRecord, console: Console) -> None:
    """Print the number of a job that a controller will start."""
    console.show(NewJob(_new(job, JobState.PENDING)))


def _new(job: JobSpec | JobRecord, state: JobState, reason: str | None = None) -> JobResult:
    return JobResult(id=job.id, name=job.name, state=state.value, reason=reason, attempt=job.attempt)


def _running(result: RunResult) -> JobResult:
    """A job that was left running."""
    node_set = fold(result.plan.chosen)
    by_rank = dict(enumerate(NodeSets(None).expand(node_set)))
    return replace(_new(result.job, JobState.RUNNING), node_set=node_set, running=by_rank)


def _result(result: RunResult, console: Console, files: FilePatterns) -> JobResult:
    if console.collected is None:
        return _report(result).result()
    names = files.names(result.job.id, result.job.attempt)
    return _report(result).result(console.collected.documents(result.plan.chosen, names.of))


def _report(result: RunResult, *, is_folded: bool = False) -> JobReport:
    return JobReport(
        id=result.job.id,
        name=result.job.name,
        node_set=fold(result.plan.chosen),
        outcomes=() if result.dispatched is None else result.dispatched.outcomes,
        attempt=result.job.attempt,
        is_folded=is_folded,
    )


def not_placed(
    plan: Plan, candidates: Candidates, *, explained: bool, query: PlacementQuery | None = None
) -> ClbalanceError:
    """The error for a job that was not placed. Exit code 125, which is no job's own; 3 if no node has Python."""
    error = nothing_fits(plan, candidates, explained=explained)
    if query is not None and (hint := force_hint(plan, query)):
        error.hint = hint
    refusals = [f"{unfit.node}: {unfit.detail}" for unfit in plan.unfit if unfit.filter == "admission"]
    error.message += f" ({'; '.join(refusals[:3])}{'; ...' if len(refusals) > 3 else ''})" if refusals else ""
    if not plan.ranked and all(unfit.filter == "python" for unfit in plan.unfit):
        error.hint = "a job needs python3 (3.6 or newer) on the PATH of its node"
    else:
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
    return error
