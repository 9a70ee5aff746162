"""The results of a job that a command follows to its end: kept on its nodes until they are here."""

from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.engine.agent.copies import DETACHED, FOREGROUND, FollowMode
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import Services
from clbalance.model import Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_files import JobFiles
from clbalance.render import messages

if TYPE_CHECKING:  # most jobs have no tasks
    from clbalance.engine.tasks.run_tasks import TaskJobResult


def mode_of(files: JobFiles | None, *, detach: bool) -> FollowMode:
    """How a job is followed: its nodes keep its files until its results are here."""
    if detach:
        return DETACHED
    return replace(FOREGROUND, retire=files is None or not files.returned)


def has_results_here(services: Services, console: Console, result: RunResult, files: JobFiles | None) -> bool:
    """Bring the results of a job that was followed to its end; whether none is missing."""
    if files is None or not files.returned or result.dispatched is None or result.queued is not None:
        return True
    if result.dispatched.interrupted is not None:
        if not any(one.seconds for one in result.dispatched.outcomes):
            return True  # nothing was started
        _tell_they_stay(console, result.job.id)
        return False
    return _brought(services, console, result.job.id)


def has_task_results_here(services: Services, console: Console, job: JobSpec, outcome: "TaskJobResult | Plan") -> bool:
    """The same for a job of tasks. Of one without `--return`, what its tasks shared is removed from its nodes."""
    if job.files is None or isinstance(outcome, Plan) or not outcome.result.slots:
        return True
    if outcome.result.interrupted is not None or outcome.result.left_running:
        if job.files.returned:
            _tell_they_stay(console, job.id)
        return not job.files.returned
    return _brought(services, console, job.id)


def _tell_they_stay(console: Console, number: int) -> None:
    later = f"`clbalance wait {number}` brings them"
    console.say(messages.note(f"the results of job {number} stay on its nodes; {later}"))


def _brought(services: Services, console: Console, number: int) -> bool:
    from clbalance.cli.output.returns import bring_results  # few jobs have files that travel

    return bring_results(services, console, jobs=[number], is_asked=True, keep_output=False)
