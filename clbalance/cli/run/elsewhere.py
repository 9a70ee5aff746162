"""Carry out `run` of one job in a batch system (`--engine slurm`)."""

import contextlib
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.output.job_files import write_run_files
from clbalance.cli.output.shown_run import ShownRun
from clbalance.cli.run.followed_results import mode_of
from clbalance.cli.run.job_input import copied_input
from clbalance.cli.run.report import EndOptions, run_ended, tell_accepted
from clbalance.cli.run.run_job import submit_job
from clbalance.cli.run.submission import Submission, query_of
from clbalance.engine.batch.run import EngineRun
from clbalance.engine.run.values import RunContext
from clbalance.errors import ExitCode, UsageError
from clbalance.model import Plan
from clbalance.model.job import JobSpec
from clbalance.nodeset import fold
from clbalance.policy.slurm.options import why_not
from clbalance.render import messages


def run_elsewhere(cluster: ClusterContext, submitted: Submission, engine: str, console: Console) -> int:
    """The exit code of `clbalance run --engine slurm`."""
    query = query_of(cluster, submitted, pick=submitted.pick)
    if option := _not_for_slurm(submitted, cluster) or why_not(query.request):
        raise UsageError(f"`{option}` cannot go with `--engine {engine}`", hint=_HINT)
    if submitted.stdin.live is not None:
        submitted = replace(submitted, stdin=copied_input(0, f"--engine {engine}", console.say))
    submitted = replace(submitted, engine=engine)
    options = submitted.options
    with submitted.check_files(has_tasks=False), contextlib.closing(_Shown(console, submitted, cluster)) as shown:
        with cluster.services(meanwhile="clbalance.cli.run.report", needs_store=True) as services:
            job, restart_policy = submit_job(services, submitted, query, cluster)
            services.fail_point("submitted")
            mode = mode_of(submitted.job_files, detach=options.detach)
            with write_run_files(services, submitted.files, shown, mode, copies=submitted.pick) as (
                writer,
                writer_mode,
            ):
                context = RunContext(
                    services=services, query=query, stdin=submitted.stdin, listener=writer, mode=writer_mode
                )
                result = EngineRun(context, job, restart_policy).carry_out()
        if options.detach:
            tell_accepted(result.job, console)
            return ExitCode.DONE
        how = EndOptions(detached=False, is_folded=options.gather, strict=options.strict)
        return run_ended(result, cluster.candidates, console, submitted.files, how, query=query)


_HINT = "leave it out, or let `--engine ssh` choose the nodes; docs/design/engines.md has the whole list"


def _not_for_slurm(submitted: Submission, cluster: ClusterContext) -> str:
    """An option that Slurm does not know, or that would be a second queue before its own; empty: none."""
    options = submitted.options
    alone = {
        "--pty": options.pty,
        "--first-node": options.first_node,
        "--checkpoint": options.checkpoint is not None,
        "--send": bool(options.send),
        "--return": bool(options.returned),
        "--queue": options.queue,
        "--queue-for": options.queue_for is not None,
        "--priority": submitted.priority != 0,
        "--explain": options.explain,
        "--policy": submitted.policy is not None,
        "-l": cluster.ssh.user is not None,
    }
    detached = {
        "--detach --retry": options.retry > 0,
        "--detach --requeue": options.requeue,
        "--detach --requeue-exit": options.requeue_exit is not None,
        "--detach --notify": options.notify is not None,
    }
    meant = {**alone, **(detached if options.detach else {})}
    return next((option for option, is_given in meant.items() if is_given), "")


class _Shown(ShownRun):
    """Shows a run of a batch system, which has chosen the nodes."""

    def __init__(self, console: Console, submitted: Submission, cluster: ClusterContext) -> None:
        super().__init__(console, submitted, cluster.candidates)
        self._engine = submitted.engine

    def placed(self, job: JobSpec, plan: Plan) -> None:
        self._console.say(messages.note(f"job {job.id} on {fold(plan.chosen)}, chosen by {self._engine}"))
        self.show_for(plan)
