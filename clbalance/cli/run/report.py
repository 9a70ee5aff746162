"""Show a run to the user, and report how it ended; for `run` and `requeue`."""

import signal
from collections.abc import Sequence

from clbalance.cli.console import Console, nothing_fits
from clbalance.cli.placement_remarks import force_hint, left_out, say_nodes_left_out
from clbalance.cli.run.submission import Submission
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import PlacementQuery
from clbalance.errors import ClbalanceError, ExitCode, NotRunError
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import NotStarted, Outcome
from clbalance.nodeset import Candidates, NodeSets, fold
from clbalance.policy.jobs.outcome import run_exit_code
from clbalance.policy.jobs.requeue import never_started
from clbalance.render import messages
from clbalance.render.output.grouped import Gathered
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import JobOutput, PassedThrough
from clbalance.render.reports.jobs.run import JobReport


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

        if self._options.explain:
            self._console.explain(plan)
        message = messages.placed(
            job.id,
            fold(plan.chosen),
            chosen=len(plan.chosen),
            candidates=len(self._candidates.nodes),
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
        options = self._options
        shown: JobOutput = PassedThrough(self._console.outlets)
        if options.gather:
            shown = Gathered(self._console.outlets, nodes, fold)
        elif len(nodes) > 1 if options.label is None else options.label:
            shown = Labelled(self._console.outlets)
        return shown


def run_ended(
    result: RunResult,
    candidates: Candidates,
    console: Console,
    *,
    detached: bool,
    explain: bool = False,
    is_folded: bool = False,
    strict: bool = False,
    query: PlacementQuery | None = None,
) -> int:
    """Report how a run ended; the exit code. Raises `NothingFitsError` or `NotRunError` for a job that was not placed.

    `detached`: print the job's number, and report more only if it failed to start.
    `explain`: if nothing fits, give the reason for each node. `is_folded`: nodes that ended alike are one row.
    `strict`: a node that `--pick all` left out counts as one on which the job did not run. `query`: to say whether
    `--force` would help.
    """
    dispatched = result.dispatched
    if result.queued is not None:
        return report_queued(result.job.id, result.queued, console, detached=detached)
    if dispatched is None:
        if explain:
            console.explain(result.plan)
        if result.cancelled:
            raise NotRunError(f"job {result.job.id} was cancelled before it could be started")
        raise not_placed(result.plan, candidates, explained=explain, query=query)
    number, outcomes = result.job.id, dispatched.outcomes
    if detached and has_started(result):
        console.print(f"{number}\n")
        if not any(isinstance(outcome.end, NotStarted) for outcome in outcomes):
            return ExitCode.DONE
    console.stopped(dispatched.interrupted)
    if dispatched.interrupted == signal.SIGHUP and len(outcomes) < len(result.plan.chosen):
        console.say(messages.note(f"job {number} goes on; `clbalance attach {number}` follows it"))
    elif dispatched.interrupted != signal.SIGPIPE or not console.quiet:  # `| head` wanted no more
        console.tell_end(_report(result, is_folded=is_folded))
    code = run_exit_code(outcomes, dispatched.interrupted)
    return max(code, ExitCode.NOT_RUN_TO_ITS_END) if strict and left_out(result.plan) else code


def has_started(result: RunResult) -> bool:
    """Whether the start came to something: the job runs, or has shown that it cannot be executed."""
    dispatched = result.dispatched
    return dispatched is not None and dispatched.interrupted is None and not never_started(dispatched.outcomes)


def report_queued(job: int, reason: str, console: Console, *, detached: bool) -> int:
    """Say that a job is queued; the exit code. Without `detached`, 125: the user wanted it to run now."""
    if detached:
        console.print(f"{job}\n")
    console.say(messages.note(f"job {job} waits: {reason}; `clbalance rebalance --apply` starts it"))
    return ExitCode.DONE if detached else ExitCode.NOT_RUN_TO_ITS_END


def _report(result: RunResult, *, is_folded: bool) -> JobReport:
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
