"""Say how a run ended, of `run` and of `requeue` alike, and exit with it."""

import signal

from clbalance.cli.screen import Screen, nothing_fits
from clbalance.engine.run import Ran
from clbalance.errors import ClbalanceError, ExitCode, NotRunError
from clbalance.job import NotStarted
from clbalance.nodes import Candidates, fold
from clbalance.policy.exit_code import run_exit_code
from clbalance.render import talk
from clbalance.render.reports.run import JobReport


def run_ended(ran: Ran, candidates: Candidates, screen: Screen, *, detached: bool, explain: bool = False) -> int:
    """The exit code. A job that was to be left running is named; more is said of it only where it did not start.

    `explain`: where nothing fits, say why of each node.
    """
    dispatched = ran.dispatched
    if ran.queued is not None:
        return it_waits(ran.job.id, ran.queued, screen, detached=detached)
    if dispatched is None:
        if explain:
            screen.explain(ran.plan)
        raise _not_run(ran, candidates, explained=explain)
    number, outcomes = ran.job.id, dispatched.outcomes
    if detached and dispatched.interrupted is None:
        screen.print(f"{number}\n")
        if not any(isinstance(outcome.end, NotStarted) for outcome in outcomes):
            return ExitCode.DONE
    screen.stopped(dispatched.interrupted)
    if dispatched.interrupted == signal.SIGHUP and len(outcomes) < len(ran.plan.chosen):
        screen.say(talk.note(f"job {number} goes on; `clbalance attach {number}` follows it"))
    elif dispatched.interrupted != signal.SIGPIPE or not screen.quiet:  # `| head` wanted no more
        screen.tell_end(_report(ran))
    return run_exit_code(outcomes, dispatched.interrupted)


def it_waits(job: int, reason: str, screen: Screen, *, detached: bool) -> int:
    """Say of a job that it is queued. Who wanted it to run here and now has not got that."""
    if detached:
        screen.print(f"{job}\n")
    screen.say(talk.note(f"job {job} waits: {reason}; `clbalance rebalance --apply` starts it"))
    return ExitCode.DONE if detached else ExitCode.NOT_RUN_TO_ITS_END


def _report(ran: Ran) -> JobReport:
    return JobReport(
        id=ran.job.id,
        name=ran.job.name,
        node_set=fold(ran.plan.chosen),
        outcomes=() if ran.dispatched is None else ran.dispatched.outcomes,
        attempt=ran.job.attempt,
    )


def _not_run(ran: Ran, candidates: Candidates, *, explained: bool) -> ClbalanceError:
    """Nothing fits: 125, for any other code could be the job's own; 3 where no node can ever run a job."""
    plan = ran.plan
    if ran.cancelled:
        return NotRunError(f"job {ran.job.id} was cancelled before it could be started")
    error = nothing_fits(plan, candidates, explained=explained)
    said_no = [f"{unfit.node}: {unfit.detail}" for unfit in plan.unfit if unfit.filter == "admission"]
    error.message += f" ({'; '.join(said_no[:3])}{'; ...' if len(said_no) > 3 else ''})" if said_no else ""
    if not plan.ranked and all(unfit.filter == "python" for unfit in plan.unfit):
        error.hint = "a job needs python3 (3.6 or newer) on the PATH of its node; `load` and `pick` do not"
    else:
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
    return error
