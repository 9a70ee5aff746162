"""Carry out `run` of one job: submit it, run it, show it, and report how it ended."""

import contextlib
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.output.complete_outputs import complete_outputs
from clbalance.cli.output.shown_run import ShownRun
from clbalance.cli.run.followed_results import has_results_here, mode_of
from clbalance.cli.run.pending import start_on
from clbalance.cli.run.submission import Submission, query_of
from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.jobs.conclude import accept, refuse
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import ExitCode
from clbalance.model.job import JobSpec, RestartPolicy, Submitted, TaskRules
from clbalance.model.task import Task
from clbalance.ports import Journal, RunListener
from clbalance.random_hex import random_hex
from clbalance.render import messages
from clbalance.user_files import CheckedFiles


def run_job(cluster: ClusterContext, submitted: Submission, console: Console) -> int:
    """The exit code of `clbalance run`."""
    with submitted.check_files(has_tasks=False) as checked:
        if submitted.options.detach and submitted.needs_controller:
            return submit_detached(cluster, submitted, console, checked=checked)
        return _run(cluster, submitted, console)


def submit_detached(
    cluster: ClusterContext,
    submitted: Submission,
    console: Console,
    *,
    checked: CheckedFiles,
    rules: TaskRules | None = None,
    tasks: tuple[Task, ...] = (),
) -> int:
    """Accept a job, and start a controller for it. The exit code.

    `NothingFitsError` if nothing fits now and the job may not wait: then it gets no number. `rules` and `tasks`: of a
    job of tasks.
    """
    from clbalance.cli.run.report import tell_accepted  # docs/design/startup.md
    from clbalance.cli.run.start_controller import ConnectOptions, start_controller

    query = query_of(cluster, submitted, pick=submitted.pick if rules is None else None)
    with cluster.services(needs_store=True) as services:
        if not submitted.may_wait:
            _refuse_unless_it_fits(services, query, cluster, submitted, console)
        job, _ = submit_job(services, submitted, query, cluster, rules=rules, tasks=tasks, accepted=True)
        services.fail_point("submitted")
        options = ConnectOptions.of(cluster)
        start_controller(services.journal, job.id, job.name, options, console, keep_open=checked.fds)
        tell_accepted(job, console)
    if submitted.begin is not None:
        console.say(messages.note(f"job {job.id} waits: not before {submitted.begin}"))
    return ExitCode.DONE


def _refuse_unless_it_fits(
    services: Services, query: PlacementQuery, cluster: ClusterContext, submitted: Submission, console: Console
) -> None:
    from clbalance.cli.run.report import not_placed
    from clbalance.engine.run.place_now import place_now

    plan = place_now(services, query)
    if not plan.fits:
        refuse(services, query.candidates, plan)
        if submitted.options.explain:
            console.explain(plan)
        raise not_placed(plan, cluster.candidates, explained=submitted.options.explain, query=query)


def _run(cluster: ClusterContext, submitted: Submission, console: Console) -> int:
    options = submitted.options
    shown = _shown(cluster, submitted, console)
    with contextlib.closing(shown):
        result, is_whole = _carry_out(
            cluster, submitted, shown, mode_of(submitted.job_files, detach=options.detach), console
        )
    from clbalance.cli.run.report import EndOptions, run_ended  # imported while the nodes worked

    query = query_of(cluster, submitted, pick=submitted.pick)
    if result.queued is not None:
        _warn_if_never(result, query, console)
    how = EndOptions(detached=options.detach, explain=options.explain, is_folded=options.gather, strict=options.strict)
    code = run_ended(result, cluster.candidates, console, submitted.files, how, query=query)
    return code if code or is_whole else ExitCode.NOT_RUN_TO_ITS_END


def _warn_if_never(result: RunResult, query: PlacementQuery, console: Console) -> None:
    """Warn if no node can ever satisfy the request. The job stays queued: nodes and labels may be added later."""
    from clbalance.policy.queue.never_held import unsatisfiable  # most jobs are not queued

    if reason := unsatisfiable(result.plan.charged.answers, query.request):
        console.say(messages.warning(f"job {result.job.id} may never start: {reason}"))


def _shown(cluster: ClusterContext, submitted: Submission, console: Console) -> ShownRun:
    if submitted.pty is None:
        return ShownRun(console, submitted, cluster.candidates)
    from clbalance.cli.run.terminal import RunOnTerminal

    return RunOnTerminal(console, submitted, cluster)


def _carry_out(
    cluster: ClusterContext, submitted: Submission, listener: RunListener, mode: FollowMode, console: Console
) -> tuple[RunResult, bool]:
    """The result, and whether its files are here that are returned."""
    query = query_of(cluster, submitted, pick=submitted.pick)
    detached = submitted.options.detach
    with cluster.services(meanwhile="clbalance.cli.run.report", needs_store=True) as services:
        submit = partial(submit_job, services, submitted, query, cluster)
        # A detached job that cannot be placed gets no number; `run` in the foreground records why it was not started.
        is_late = detached and not submitted.may_wait
        job, restart_policy = (new_job(submitted, cluster), submitted.restart_policy) if is_late else submit()
        if not is_late:
            services.fail_point("submitted")
        with _written(services, submitted, listener, mode) as (writer, writer_mode):
            context = RunContext(
                services=replace(services, start_queued=partial(start_on, cluster)),
                query=query,
                stdin=submitted.stdin,
                listener=writer,
                mode=writer_mode,
                submit=lambda: submit(job=job)[0].id,
            )
            result = Run(context, job, restart_policy).carry_out()
        if detached:
            _accept_if_started(services, result)
        complete_outputs(services, console, again=False)
        return result, has_results_here(services, console, result, submitted.job_files)


def _written(
    services: Services, submitted: Submission, listener: RunListener, mode: FollowMode
) -> AbstractContextManager[tuple[RunListener, FollowMode]]:
    """The listener and the mode of a job whose output may go to files."""
    if not submitted.files.any:
        return contextlib.nullcontext((listener, mode))
    from clbalance.cli.output.job_files import write_run_files

    return write_run_files(services, submitted.files, listener, mode, copies=submitted.pick)


def _accept_if_started(services: Services, result: RunResult) -> None:
    if result.has_started:
        accept(services, result.job.id)


# Submit a job: give it a number and record it in the journal.


def submit_job(
    services: Services,
    asked: Submission,
    query: PlacementQuery,
    cluster: ClusterContext,
    *,
    job: JobSpec | None = None,
    rules: TaskRules | None = None,
    tasks: tuple[Task, ...] = (),
    accepted: bool = False,
) -> tuple[JobSpec, RestartPolicy]:
    """Record a job in the journal. Returns it with its number, and its restart policy with dependencies.

    `job`: the one to record; None: a new one. `rules` and `tasks`: of a job of tasks. `cluster`: has the named group
    and the login user. `accepted`: it is never dropped from now on.
    `UsageError` if a job in `--after` does not exist.
    """
    restart_policy = replace(asked.restart_policy, after=_jobs_before(services.journal, asked.options.after or ()))
    job = replace(job or new_job(asked, cluster), slots=rules is not None)
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
        account=asked.options.account or "",
        begin_at_s=None if asked.begin is None else asked.begin.at.timestamp(),
        output=asked.files.output,
        error=asked.files.error,
        engine=asked.engine,
    )
    at, kept = services.clock.now(), asked.kept_stdin
    number = services.journal.submit(at, whole, tasks, accepted=accepted, stdin=kept)
    return replace(job, id=number), restart_policy


def _login_of(cluster: ClusterContext) -> str | None:
    """The login user, as typed or from the present settings; None also for a job that runs here without ssh."""
    return None if cluster.is_here else cluster.settings.ssh.user


def _jobs_before(journal: Journal, words: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the jobs in `--after`. `UsageError` if one does not exist.

    A comma separates jobs, unless there is a job of that whole name.
    """
    if not words:
        return ()
    from clbalance.cli.job_selection import named_jobs

    named = {record.name for record in journal.records(over=True)} if any("," in word for word in words) else set()
    each = [one for word in words for one in ([word] if word in named else word.split(","))]
    return tuple(record.id for record in named_jobs(journal, each))


def new_job(submitted: Submission, cluster: ClusterContext) -> JobSpec:
    """The job, with number 0: it is not submitted yet."""
    options = submitted.options
    return JobSpec(
        id=0,
        key=random_hex(),
        name=submitted.name,
        payload=submitted.payload,
        chdir=submitted.chdir,
        chdir_explicit=options.chdir is not None,
        umask=submitted.umask,
        env=submitted.env,
        login=options.login,
        first_node=options.first_node,
        time_limit_s=submitted.time_limit_s,
        pty=submitted.pty,
        submit_host=socket.gethostname(),
        submit_dir=submitted.submit_dir,
        user=_login_of(cluster),
        files=submitted.job_files,
    )
