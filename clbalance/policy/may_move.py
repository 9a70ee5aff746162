"""Which jobs may be taken to another node while they run: those whose owner has said so. Pure."""

from clbalance.job import JobRecord, JobState, Submitted


def hindrance(record: JobRecord, submitted: Submitted) -> str:
    """Why a job stays where it is, whatever is gained; empty where it may be moved."""
    tries = submitted.tries
    if record.state is not JobState.RUNNING:
        return f"{record.state}"
    if not tries.requeue and tries.checkpoint is None:
        return "not marked `--requeue` or `--checkpoint`"
    if submitted.job.pty is not None:
        return "has a terminal"
    if submitted.rules is not None:
        return "gives out tasks"
    if len(record.nodes) != 1:
        return f"has {len(record.nodes)} copies"
    return ""
