"""The results of a job that a command follows to its end: kept on its nodes until they are here."""

from dataclasses import replace

from clbalance.cli.console import Console
from clbalance.engine.agent.copies import DETACHED, FOREGROUND, FollowMode
from clbalance.engine.run.values import RunResult
from clbalance.engine.services import Services
from clbalance.model.job_files import JobFiles
from clbalance.render import messages


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
        later = f"`clbalance wait {result.job.id}` brings them"
        console.say(messages.note(f"the results of job {result.job.id} stay on its nodes; {later}"))
        return False
    from clbalance.cli.output.returns import bring_results  # few jobs have files that travel

    return bring_results(services, console, jobs=[result.job.id], is_asked=True, keep_output=False)
