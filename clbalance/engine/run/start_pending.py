"""Start queued jobs for a process that waits for some of them."""

from collections.abc import Callable, Collection

from clbalance.engine.jobs.conclude import cancel_unstarted
from clbalance.engine.rebalance_facts import choose_queued, read_inputs
from clbalance.engine.run.start_queued import SubmittedInputs, start_waiting
from clbalance.engine.services import Services
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.select import Rng
from clbalance.policy.queue.queues import PRIORITY, JobQueue
from clbalance.policy.queue.start import PendingJob


def start_pending(
    services: Services,
    jobs: Collection[int],
    submitted_inputs: SubmittedInputs,
    policy_of: Callable[[PendingJob], Policy],
    rng: Rng,
    queue: JobQueue = PRIORITY,
) -> None:
    """Start these queued jobs as `rebalance` would: after those of higher priority that want the same nodes.

    Those are started, too: nobody else may, and they were given the room.
    """
    wanted = [services.journal.submitted(job) for job in jobs]
    nodes = {node: None for one in wanted if one is not None for node in one.candidates}
    inputs = read_inputs(services, tuple(nodes))
    chosen, _ = choose_queued(services, inputs, policy_of, rng, queue)
    for job, reason in chosen.never.items():
        if job in jobs:
            cancel_unstarted(services, job, reason)
    for job, reason in chosen.waits.items():
        record = inputs.queued[job].record
        if job in jobs and reason != record.reason:
            services.journal.queue(job, attempt=record.attempt, reason=reason)
    for job, planned in chosen.starts:
        one = inputs.queued[job]
        start_waiting(services, one.record, one.submitted, submitted_inputs, planned)
