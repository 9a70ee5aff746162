"""Show a run to the user, and report how it ended; for `run` and `requeue`."""

import signal
from collections.abc import Sequence
from dataclasses import replace

from clbalance.cli.console import Console, nothing_fits
from clbalance.cli.output.job_files import FilePatterns
from clbalance.cli.placement_remarks import force_hint, left_out, say_nodes_left_out
from clbalance.cli.run.submission import Submission
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import PlacementQuery
from clbalance.errors import ClbalanceError, ExitCode, NotRunError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import JobRecord, JobState, NotStarted, Outcome
from clbalance.nodeset import Candidates, NodeSets, fold
from clbalance.policy.jobs.outcome import run_exit_code
from clbalance.policy.jobs.requeue import never_started
from clbalance.render import messages
from clbalance.render.output.grouped import Gathered
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import JobOutput, PassedThrough
from clbalance.render.reports.jobs.run import JobReport, JobResult, JobResults, NewJob


class ShownRun:
    """`RunListener` that shows a run to the user."""

    def __init__(self, console: Console, submitted: Submission, candidates: Candidates) -> None:
        self._console = console
        self._options = submitted.options
        self._candidates = candidates
        self._output: JobOutput = PassedThrough(console.outlets)

    def waiting(self, reason: str) -> None:
        self._console.say(messages.note(f"waiting: {reason}"))

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._console.say(messages.note(f"job {job.id} moves to {node}: {reason}"))

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        pass

    def placed(self, job: JobSpec, plan: Plan) -> None:
        from clbalance.policy.placement.gpu_rank import unreserved_gpus  # deferred import: docs/design/startup.md
        from clbalance.policy.placement.quorum import was_not_asked

        if self._options.explain:
            self._console.explain(plan)
        message = messages.placed(
            job.id,
            fold(plan.chosen),
            chosen=len(plan.chosen),
            candidates=len(self._candidates.nodes),
            asked=len(self._candidates.nodes) - sum(map(was_not_asked, plan.charged.answers)),
            fitting=len(plan.ranked),
            free_gpus=unreserved_gpus(plan),
        )
        self._console.say(message)
        say_nodes_left_out(self._console, plan, exit_code=ExitCode.NOT_RUN_TO_ITS_END if self._options.strict else None)
        self._output.close()
        self._output = self._output_for(NodeSets(None).expand(fold(plan.chosen)))  # shown in the order of their ranks

    def warned(self, node: NodeName, text: str) -> None:
        self._console.say(messages.warning(f"{node}: {text}"))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._output.write(node, stream, piece)

    def cut_off(self, node: NodeName) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        self._output.end(outcome.node)

    def close(self) -> None:
        """Print output that was held back."""
        self._output.close()

    def _output_for(self, nodes: Sequence[NodeName]) -> JobOutput:
        options, collected = self._options, self._console.collected
        if collected is not None:
            collected.begin_anew()
            return collected
        shown: JobOutput = PassedThrough(self._console.outlets)
        if options.gather:
            shown = Gathered(self._console.outlets, nodes, fold)
        elif len(nodes) > 1 if options.label is None else options.label:
            shown = Labelled(self._console.outlets)
        return shown


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
    if how.detached and has_started(result):
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


def has_started(result: RunResult) -> bool:
    """Whether the start came to something: the job runs, or has shown that it cannot be executed."""
    dispatched = result.dispatched
    return dispatched is not None and dispatched.interrupted is None and not never_started(dispatched.outcomes)


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
