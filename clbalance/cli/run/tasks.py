"""Choose between `run --resume` and a new job of tasks."""

from dataclasses import replace

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, RequestOptions, SshOptions
from clbalance.cli.run.options import JobOptions, TaskOptions
from clbalance.cli.run.run_tasks import task_job_of
from clbalance.cli.run.work import CommandLine
from clbalance.errors import UsageError
from clbalance.wiring.engines import engine_meant


def run_as_typed(
    nodes: NodeOptions,
    tasks: TaskOptions,
    job: JobOptions,
    resources: RequestOptions,
    ssh: SshOptions,
    console: Console,
    typed: CommandLine,
) -> int:
    """The exit code of `clbalance run` with `--tasks`, `--array` or `--resume`."""
    if tasks.resume is not None:
        alone = (NodeOptions(groups_conf=nodes.groups_conf), TaskOptions(resume=tasks.resume), RequestOptions())
        if typed.words or (nodes, tasks, resources) != alone or replace(job, detach=False) != JobOptions():
            raise UsageError(
                "`--resume` runs what was submitted, as it was",
                hint=f"`clbalance run --resume {tasks.resume}`, with `--detach` and options for ssh if you like",
            )
        from clbalance.cli.run.resume_tasks import resume_tasks

        return resume_tasks(tasks.resume, ssh, console, detach=job.detach)
    task_job = task_job_of(tasks, job, resources, typed, console.say)
    cluster = cluster_context(nodes, ssh, console, work_here=True, policy=resources.policy)
    if engine := engine_meant(job.engine, cluster.settings, cluster.group):
        raise UsageError(
            f"`--tasks` and `--array` cannot go with `--engine {engine}`",
            hint="`--engine ssh` runs tasks in slots of ours; a job may call `sbatch --array` itself",
        )
    from clbalance.cli.run.run_tasks import run_task_job

    return run_task_job(cluster, task_job, console)
