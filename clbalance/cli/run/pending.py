"""Start queued jobs from a process that waits for them: `wait`, and controllers of jobs that come after them."""

from collections.abc import Collection
from dataclasses import asdict
from typing import TYPE_CHECKING

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, ReachOptions, SweepOptions
from clbalance.engine.services import Services
from clbalance.model.job_record import JobRecord
from clbalance.nodeset import fold

if TYPE_CHECKING:  # most calls start no other job: docs/design/startup.md
    from clbalance.engine.run.start_queued import SubmittedInputs


def submitted_inputs(cluster: ClusterContext) -> "SubmittedInputs":
    """How submitted jobs are started with the settings of this call."""
    from clbalance.cli.run.job_input import input_of
    from clbalance.engine.run.start_queued import SubmittedInputs

    return SubmittedInputs(query_of=cluster.query_of_job, input_of=input_of, control=lambda one: _control(one, cluster))


def start_on(cluster: ClusterContext, services: Services, jobs: Collection[int]) -> None:
    """Start those of these queued jobs that fit."""
    from clbalance.engine.run.start_pending import start_pending
    from clbalance.wiring.chosen import queue_in_use

    start_pending(
        services,
        jobs,
        submitted_inputs(cluster),
        lambda one: cluster.policy_as(one.group, one.policy),
        cluster.rng,
        queue_in_use(cluster.settings),
    )


def start_from_journal(ssh: ReachOptions, console: Console, services: Services, jobs: Collection[int]) -> None:
    """The same for a verb that names jobs and no nodes. Nodes get their labels and factors from the settings."""
    wanted = [services.journal.submitted(job) for job in jobs]
    nodes = dict.fromkeys(node for one in wanted if one is not None for node in one.candidates)
    options = SweepOptions(**{"fanout": None, **asdict(ssh)})
    cluster = cluster_context(NodeOptions(nodes=[fold(nodes)]), options, console)
    start_on(cluster, cluster.with_node_settings(services), jobs)


def _control(record: JobRecord, cluster: ClusterContext) -> bool:
    from clbalance.cli.run.start_controller import ConnectOptions, control_queued  # only for jobs of tasks

    return control_queued(record, record.name, ConnectOptions.of(cluster), cluster.console)
