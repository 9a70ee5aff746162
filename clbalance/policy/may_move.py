"""Which jobs may be taken to another node while they run: those whose owner has said so. Pure."""

from clbalance.job import JobRecord, JobSpec, JobState, Submitted, Tries
from clbalance.model import Request


def may_be_moved(job: JobSpec, request: Request, tries: Tries) -> bool:
    """Whether its owner has marked it, and it can start elsewhere."""
    return not hindrance(job, request, tries)


def hindrance(job: JobSpec, request: Request, tries: Tries) -> str:
    """Why a job stays where it is, whatever is gained; empty where it may be moved."""
    if not tries.requeue and tries.checkpoint is None:
        return "not marked `--requeue` or `--checkpoint`"
    if job.pty is not None:
        return "has a terminal"
    if job.slots:
        return "gives out tasks"
    if request.pick != 1:
        return "is a job of several copies"
    return ""


def hindrance_now(record: JobRecord, submitted: Submitted) -> str:
    """The same of a job as it stands at this moment."""
    if record.state is not JobState.RUNNING:
        return f"{record.state}"
    return hindrance(submitted.job, submitted.request, submitted.tries)
