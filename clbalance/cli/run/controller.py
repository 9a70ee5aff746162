"""The detached controller of an accepted job: a process that reads the job from the journal and carries it to its end.

`start_controller.py` starts it. Whenever it dies, the job runs on, or is queued (docs/design/jobs.md).
"""

import contextlib
import json
import os
import signal
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from clbalance.cli.cluster import ClusterContext, cluster_context, open_store
from clbalance.cli.console import Console
from clbalance.cli.job_selection import as_submitted, place_again
from clbalance.cli.options import NodeOptions, SweepOptions, VerbosityOptions
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.output.job_files import write_run_files
from clbalance.cli.run.job_input import input_of
from clbalance.cli.run.pending import start_on
from clbalance.cli.run.start_controller import ConnectOptions
from clbalance.cli.signals import ignore_at_the_end, raise_once
from clbalance.engine.agent.copies import SUPERVISED
from clbalance.engine.agent.listeners import NullListener, NullTaskListener
from clbalance.engine.jobs.submitted import next_attempt
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext
from clbalance.engine.services import Services
from clbalance.errors import ClbalanceError, Interrupted, StoreError
from clbalance.model.job import Submitted
from clbalance.policy.jobs.requeue import nodes_to_exclude
from clbalance.ports import JobLock, Journal, Store
from clbalance.transport.reach import this_node


def main() -> int:
    """`python -m clbalance.cli.run.controller NUMBER FD NAME`, with the rest as JSON on standard input."""
    number, fd = int(sys.argv[1]), int(sys.argv[2])
    raise_once()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        order = json.load(sys.stdin)
        _keep_to_ourselves(fd, *order["keep_open"])
        with contextlib.suppress(OSError):
            os.chdir(order["folder"] or "/")
        options = ConnectOptions(
            ssh=SweepOptions(**{"fanout": None, **order["ssh"]}),
            groups_conf=None if order["groups_conf"] is None else Path(order["groups_conf"]),
        )
        control(number, JobLock(name=order["lock"], fd=fd), options)
    except ClbalanceError as error:
        return error.exit_code
    except Interrupted as stop:
        return 128 + stop.signum
    finally:
        ignore_at_the_end()
    return 0


def _keep_to_ourselves(*fds: int) -> None:
    """An ssh that outlives us must neither hold our lock nor an output file; and it reads nothing from our caller."""
    for fd in fds:
        os.set_inheritable(fd, False)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def control(number: int, lock: JobLock, options: ConnectOptions) -> None:
    """Carry the job to its end, or as far as it comes."""
    console = Console.of(VerbosityOptions(quiet=True))
    with open_store(console, needed=True, lock=lock) as opened:
        try:
            _control(number, opened, options, console)
        except ClbalanceError as error:
            _queue(opened[1], number, error.message)
            raise


def _control(number: int, opened: tuple[Store, Journal], options: ConnectOptions, console: Console) -> None:
    submitted = opened[1].submitted(number)
    if submitted is None:
        raise StoreError(f"job {number} is no longer in the state database")
    cluster = _cluster(submitted, options, console)
    meanwhile = "clbalance.engine.run.dispatch" if submitted.rules is None else "clbalance.engine.tasks.task_run"
    with cluster.services(meanwhile=meanwhile, opened=opened) as services:
        services.fail_point("taken")
        waiting = replace(services, start_queued=partial(start_on, cluster))
        _carry_out(waiting, cluster, number, submitted)


def _queue(journal: Journal, number: int, reason: str) -> None:
    """Put the job back into the queue if it has not begun; without a store it goes there when we have gone."""
    with contextlib.suppress(StoreError):
        record = journal.record(number)
        if record is not None:
            journal.queue(number, attempt=record.attempt, reason=reason)


def _cluster(submitted: Submitted, options: ConnectOptions, console: Console) -> ClusterContext:
    ssh = as_submitted(SweepOptions(**{"fanout": None, **asdict(options.ssh)}), submitted)
    if submitted.candidates == (this_node(),):  # submitted without any cluster, if there still is none
        cluster = cluster_context(NodeOptions(groups_conf=options.groups_conf), ssh, console)
        if cluster.is_here:
            return replace(cluster, policy=cluster.policy_as(submitted.group, submitted.policy))
    return place_again(submitted, ssh, console, groups_conf=options.groups_conf)


def _carry_out(services: Services, cluster: ClusterContext, number: int, submitted: Submitted) -> None:
    record = services.journal.record(number)
    assert record is not None, "we control it"
    query, files = cluster.query_of(submitted.request), FilePatterns.of(submitted)
    stdin = input_of(services.journal, number, submitted)
    job = next_attempt(services, record)
    if submitted.rules is not None:
        from clbalance.cli.run.run_tasks import run_tasks_with_files, unfinished_tasks
        from clbalance.engine.tasks.values import TaskRunContext

        policy = replace(submitted.restart_policy, after=()) if record.nodes else submitted.restart_policy
        task_context = TaskRunContext(
            services=services,
            query=query,
            job=job,
            tasks=unfinished_tasks(services, record, again=False),
            rules=submitted.rules,
            restart_policy=policy,
            stdin=stdin,
            listener=NullTaskListener(),
            queued=True,
            accepted=True,
            is_unseen=not files.any,
        )
        run_tasks_with_files(task_context, files, is_watched=False)
        _bring_results(services, cluster, number, submitted)
        return
    excluded = nodes_to_exclude(submitted.restart_policy, services.journal.copies(number))
    copies = submitted.request.pick
    with write_run_files(services, files, NullListener(), SUPERVISED, copies=copies) as (writer, mode):
        context = RunContext(services=services, query=query, stdin=stdin, listener=writer, mode=mode)
        Run(context, job, submitted.restart_policy, excluded, queued=True).carry_out()
    _bring_results(services, cluster, number, submitted)


def _bring_results(services: Services, cluster: ClusterContext, number: int, submitted: Submitted) -> None:
    if submitted.returns_files:
        from clbalance.cli.output.returns import bring_results  # few jobs have files that travel

        bring_results(services, cluster.console, jobs=[number], is_asked=True)


if __name__ == "__main__":
    sys.exit(main())
