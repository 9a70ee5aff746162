"""Carry out `run` of one job: submit it, run it, show it, and report how it ended."""

import contextlib
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.job_files import write_run_files
from clbalance.cli.run.background import notify, run_detached
from clbalance.cli.run.report import ShownRun, run_ended
from clbalance.cli.run.submission import Submission
from clbalance.engine.agent.copies import DETACHED, FOREGROUND, SUPERVISED, FollowMode
from clbalance.engine.agent.listeners import NullListener
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import ExitCode
from clbalance.model.job import JobSpec, RestartPolicy, Submitted, TaskRules
from clbalance.model.task import Task
from clbalance.ports import Journal, RunListener
from clbalance.render import messages


def run_job(cluster: ClusterContext, submitted: Submission, console: Console) -> int:
    """The exit code of `clbalance run`."""
    with submitted.check_files(has_tasks=False):
        return _run(cluster, submitted, console)


def _run(cluster: ClusterContext, submitted: Submission, console: Console) -> int:
    if submitted.options.detach and submitted.needs_controller:
        number = run_detached(lambda announce: _run_detached(cluster, submitted, announce))
        console.print(f"{number}\n")
        return ExitCode.DONE
    shown = _shown(cluster, submitted, console)
    with contextlib.closing(shown):
        mode = DETACHED if submitted.options.detach else FOREGROUND
        result = _carry_out(cluster, submitted, shown, mode, console=console)
    if result.queued is not None:
        _warn_if_never(result, query_of(cluster, submitted, pick=submitted.pick), console)
    options = submitted.options
    return run_ended(result, cluster.candidates, console, detached=options.detach, explain=options.explain)


def _warn_if_never(result: RunResult, query: PlacementQuery, console: Console) -> None:
    """Warn if no node can ever satisfy the request. The job stays queued: nodes and labels may be added later."""
    from clbalance.policy.queue.never_held import unsatisfiable  # most jobs are not queued

    if reason := unsatisfiable(result.plan.charged.answers, query.request):
        console.say(messages.warning(f"job {result.job.id} may wait for ever: {reason}"))


def _shown(cluster: ClusterContext, submitted: Submission, console: Console) -> ShownRun:
    if submitted.pty is None:
        return ShownRun(console, submitted, cluster.candidates)
    from clbalance.cli.run.terminal import RunOnTerminal

    return RunOnTerminal(console, submitted, cluster)


def _run_detached(cluster: ClusterContext, submitted: Submission, announce: Callable[[int], None]) -> None:
    """The work of the detached controller."""
    _carry_out(cluster, submitted, NullListener(), SUPERVISED, announce)


def _carry_out(
    cluster: ClusterContext,
    submitted: Submission,
    listener: RunListener,
    mode: FollowMode,
    announce: Callable[[int], None] = lambda _: None,
    *,
    console: Console | None = None,
) -> RunResult:
    query = query_of(cluster, submitted, pick=submitted.pick)
    detached = submitted.options.detach
    with cluster.services(meanwhile="clbalance.engine.run.dispatch", needs_store=detached) as services:
        job, restart_policy = submit_job(services, submitted, query, cluster)
        announce(job.id)
        services.fail_point("submitted")
        with write_run_files(services, submitted.files, listener, mode, copies=submitted.pick) as (writer, writer_mode):
            context = RunContext(
                services=services, query=query, stdin=submitted.stdin, listener=writer, mode=writer_mode
            )
            result = Run(context, job, restart_policy).carry_out()
        if console is not None:
            complete_outputs(services, console, again=False)
        notify(submitted.options.notify, services.journal.record(job.id))
    return result


# Submit a job: give it a number and record it in the journal.


def submit_job(
    services: Services,
    asked: Submission,
    query: PlacementQuery,
    cluster: ClusterContext,
    *,
    rules: TaskRules | None = None,
    tasks: tuple[Task, ...] = (),
) -> tuple[JobSpec, RestartPolicy]:
    """Record a job in the journal. Returns it with its number, and its restart policy with dependencies.

    `rules` and `tasks`: of a job of tasks. `cluster`: has the named group and the login user.
    `UsageError` if a job in `--after` does not exist.
    """
    restart_policy = replace(asked.restart_policy, after=_jobs_before(services.journal, asked.options.after or ()))
    job = replace(_job_of(asked), user=_login_of(cluster), slots=rules is not None)
    whole = Submitted(
        job=job,
        request=query.request,
        candidates=query.candidates,
        restart_policy=restart_policy,
        stdin_path=asked.stdin.path,
        notify=asked.options.notify,
        rules=rules,
        group=cluster.group,
        policy=asked.policy,
        priority=asked.priority,
        output=asked.files.output,
        error=asked.files.error,
    )
    number = services.journal.submit(services.clock.now(), whole, tasks, stdin=asked.kept_stdin)
    return replace(job, id=number), restart_policy


def query_of(cluster: ClusterContext, asked: Submission, *, pick: int | None) -> PlacementQuery:
    """The placement query for `pick` copies; None: on all nodes that fit."""
    return cluster.query(
        pick=pick,
        resources=asked.resources,
        constraints=asked.constraints,
        name=asked.name,
        needs_python=True,
    )


def _login_of(cluster: ClusterContext) -> str | None:
    """The login user, as typed or from the present settings; None also for a job that runs here without ssh."""
    return None if cluster.is_here else cluster.settings.ssh.user


def _jobs_before(journal: Journal, words: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the jobs in `--after`. `UsageError` if one does not exist."""
    if not words:
        return ()
    from clbalance.cli.job_selection import named_jobs

    return tuple(record.id for record in named_jobs(journal, [one for word in words for one in word.split(",")]))


def _job_of(submitted: Submission) -> JobSpec:
    """The job, with number 0: it is not submitted yet."""
    options = submitted.options
    return JobSpec(
        id=0,
        key=secrets.token_hex(16),
        name=submitted.name,
        payload=submitted.payload,
        chdir=submitted.chdir,
        chdir_explicit=options.chdir is not None,
        umask=submitted.umask,
        env=submitted.env,
        login=options.login,
        time_limit_s=submitted.time_limit_s,
        pty=submitted.pty,
        submit_host=socket.gethostname(),
        submit_dir=submitted.submit_dir,
    )
