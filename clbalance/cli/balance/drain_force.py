"""End what other users run on drained nodes, for `drain --force` of root there (docs/design/administrator.md)."""

from collections.abc import Sequence

from clbalance.cli.console import Console
from clbalance.cli.jobs.leased import log_leased, owner_name, result_of_end, shown_name
from clbalance.engine.jobs.leased import end_leased
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.model import Measured, NodeName
from clbalance.nodeset import fold
from clbalance.policy.jobs.leased import addressable, drained_reason, leased_jobs
from clbalance.render import messages


def end_others(services: Services, console: Console, nodes: Sequence[NodeName], reason: str) -> bool:
    """End other users' jobs on those of the nodes where we are root, and log each of them. Whether there were any.

    Root's own jobs from other hosts are not among them: they may have a controller there.
    """
    snapshot = take_snapshot(services, nodes)
    ours = [answer for answer in snapshot.answers if isinstance(answer, Measured) and answer.reading.uid == 0]
    jobs = [job for job in addressable(leased_jobs(ours)) if job.uid != 0]
    if not jobs:
        return False
    console.say(messages.note(f"the deadline has passed: cancelling {', '.join(map(shown_name, jobs))}"))
    drained = fold(answer.node for answer in ours)
    results: list[str] = []
    try:
        results += map(result_of_end, end_leased(services, jobs, drained_reason(drained, reason)))
    finally:  # an interrupt may come after nodes were told
        results += ["result unknown: no node has confirmed its end"] * (len(jobs) - len(results))
        for job, result in zip(jobs, results, strict=True):
            why = f"drain {drained}: {reason}; the job is {owner_name(job.uid)}'s"
            log_leased(services, console, "cancel", job, result, why)
    return True
