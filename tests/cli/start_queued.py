"""What `rebalance` does with the queue, and nothing else of it: `python -m tests.cli.start_queued`."""

import sys
from datetime import datetime, timedelta

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions
from clbalance.cli.run.job_input import input_of
from clbalance.cli.signals import ignore_at_the_end, raise_once
from clbalance.engine.jobs.conclude import cancel_unstarted
from clbalance.engine.jobs.submitted import dependency_state, refresh
from clbalance.engine.run.start_queued import JobStarted, SubmittedInputs, start_waiting
from clbalance.engine.services import Services
from clbalance.engine.sweep import sweep
from clbalance.errors import Interrupted
from clbalance.model.job_record import JobRecord, JobState
from clbalance.nodeset import fold
from clbalance.policy.jobs.record import is_queued
from clbalance.policy.queue.start import Chosen, pending_job, to_start


def start_all(cluster: ClusterContext, services: Services) -> None:
    records = [one.record for one in refresh(services, services.journal.records())]
    queued = {record.id: record for record in records if is_queued(record)}
    if not queued:
        return
    chosen = sweep_and_place(cluster, services, records, queued)
    for job, reason in chosen.never.items():
        cancel_unstarted(services, job, reason)
    for job, reason in chosen.waits.items():
        services.journal.queue(job, attempt=queued[job].attempt, reason=reason)
    for job, nodes in chosen.starts:
        submitted = services.journal.submitted(job)
        assert submitted is not None
        submitted_inputs = SubmittedInputs(query_of=cluster.query_of_job, input_of=input_of, control=lambda _: False)
        came = start_waiting(services, queued[job], submitted, submitted_inputs)
        print(job, type(came).__name__, fold(came.result.plan.chosen if isinstance(came, JobStarted) else nodes))


def sweep_and_place(
    cluster: ClusterContext, services: Services, records: list[JobRecord], queued: dict[int, JobRecord]
) -> Chosen:
    waiting = []
    for job, record in queued.items():
        submitted = services.journal.submitted(job)
        assert submitted is not None
        waiting.append(
            pending_job(
                record,
                submitted,
                services.journal.copies(record.id),
                dependency_state(services, submitted.restart_policy.after),
            )
        )
    nodes = sorted({node for one in waiting for node in one.candidates})
    with services.transport.sessions() as sessions:
        snapshot = sweep(services, sessions, nodes)
    running = {record.key: ends_at(services, record) for record in records if record.state is JobState.RUNNING}
    policy_of = lambda one: cluster.policy_as(one.group, one.policy)  # noqa: E731 - for this call alone
    return to_start(snapshot, waiting, running, policy_of, services.clock.now(), cluster.rng)


def ends_at(services: Services, record: JobRecord) -> datetime | None:
    submitted = services.journal.submitted(record.id)
    limit_s = None if submitted is None else submitted.job.time_limit_s
    return None if limit_s is None or record.started_at is None else record.started_at + timedelta(seconds=limit_s)


def main() -> int:
    raise_once()
    try:
        cluster = cluster_context(NodeOptions(nodes=["node1"]), SshOptions(), Console.of(OutputOptions()))
        with cluster.services(needs_store=True) as services:
            start_all(cluster, services)
    except Interrupted as stop:
        return 128 + stop.signum
    finally:
        ignore_at_the_end()  # as `clbalance` does: an alarm would end the interpreter on its way out
    return 0


if __name__ == "__main__":
    sys.exit(main())
