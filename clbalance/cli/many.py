"""From what was typed to a job of tasks."""

from dataclasses import replace
from pathlib import Path

from clbalance.cli.job_options import JobOptions
from clbalance.cli.request_options import RequestOptions
from clbalance.cli.submit import Submission, submission
from clbalance.cli.task_list import array_of, rules_of, tasks_in
from clbalance.cli.task_options import TaskOptions
from clbalance.cli.work import TypedWork
from clbalance.errors import UsageError
from clbalance.job import TaskRules
from clbalance.lazy_dataclass import dataclass
from clbalance.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class ManyTasks:
    """A job of tasks before it has a number."""

    submission: Submission
    tasks: tuple[Task, ...]
    rules: TaskRules


def many_tasks(options: TaskOptions, job: JobOptions, resources: RequestOptions, typed: TypedWork) -> ManyTasks:
    """The job that is meant; `UsageError` where none can be."""
    _check(options, job, resources)
    if options.array is not None:
        tasks, at_once = array_of(options.array)
        given = submission(job, resources, typed)
        return ManyTasks(submission=given, tasks=tasks, rules=rules_of(options, at_once))
    if typed.words or job.text is not None:
        raise UsageError("`--tasks` has the commands already", hint="`--array 0-99` runs one command many times")
    path = options.tasks or "-"
    rules, tasks = rules_of(options, None), tasks_in(path)
    named = replace(job, name=job.name or ("tasks" if path == "-" else Path(path).name))
    given = submission(named, resources, TypedWork(words=("/bin/sh", "-c"), exact=True), task_list=path)
    return ManyTasks(submission=given, tasks=tasks, rules=rules)


def _check(options: TaskOptions, job: JobOptions, resources: RequestOptions) -> None:
    if options.tasks is not None and options.array is not None:
        raise UsageError("`--tasks` and `--array` are two ways to say what the tasks are", hint="one of them")
    if job.queue:
        raise UsageError("a job of tasks starts where there is a slot: `--queue` cannot be meant of it")
    given = {
        "--pick": job.pick != "1",
        "--pty": job.pty,
        "-b": job.gather,
        "--checkpoint": job.checkpoint,
        "--same": resources.same is not None,
    }
    if bad := next((name for name, is_given in given.items() if is_given), None):
        raise UsageError(f"tasks go wherever there is a slot: `{bad}` cannot be meant of them")
