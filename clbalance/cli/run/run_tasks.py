"""Carry out `run --tasks` and `run --array`: read the tasks, submit a job of them, and run it."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.cli.options import RequestOptions
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.run.followed_results import has_task_results_here
from clbalance.cli.run.options import JobOptions, TaskOptions
from clbalance.cli.run.pending import start_on
from clbalance.cli.run.run_job import submit_detached, submit_job
from clbalance.cli.run.submission import Submission, query_of, submission
from clbalance.cli.run.task_progress import ShownTasks
from clbalance.cli.run.work import CommandLine
from clbalance.engine.services import Services
from clbalance.engine.tasks.run_tasks import TaskJobResult, run_tasks
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Plan
from clbalance.model.job import TaskRules
from clbalance.model.job_record import JobRecord
from clbalance.model.task import MOST_TASKS, Task
from clbalance.policy.jobs.names import default_name
from clbalance.policy.jobs.task_records import is_done
from clbalance.ports import TaskListener
from clbalance.wiring.nothing_fits import nothing_fits
from clbalance.written_text import NotUtf8Error, without_bom


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskJob:
    """A job of tasks that has no number yet."""

    submission: Submission
    tasks: tuple[Task, ...]
    rules: TaskRules


def task_job_of(
    options: TaskOptions, job: JobOptions, resources: RequestOptions, typed: CommandLine, say: Callable[[str], None]
) -> TaskJob:
    """The job for these options; `UsageError` for options that are wrong or do not go together."""
    _check(options, job, resources)
    if options.array is not None:
        tasks, at_once = array_of(options.array)
        given = submission(job, resources, typed, say=say, tasks=tasks)
        return TaskJob(submission=given, tasks=tasks, rules=rules_of(options, at_once))
    if typed.words or job.text is not None:
        raise UsageError("`--tasks` has the commands already", hint="`--array 0-99` runs one command many times")
    path = options.tasks or "-"
    rules, tasks = rules_of(options, None), tasks_in(path)
    named = replace(job, name=job.name or ("tasks" if path == "-" else default_name(Path(path).name)))
    shell = CommandLine(words=("/bin/sh", "-c"), exact=True)
    given = submission(named, resources, shell, say=say, tasks=tasks, task_list=path)
    return TaskJob(submission=given, tasks=tasks, rules=rules)


def _check(options: TaskOptions, job: JobOptions, resources: RequestOptions) -> None:
    if options.tasks is not None and options.array is not None:
        raise UsageError("`--tasks` and `--array` are two ways to say what the tasks are", hint="one of them")
    if job.queue:
        raise UsageError("a job of tasks cannot be queued by `--queue`: its tasks run wherever a slot is free")
    given = {
        "--pick": job.pick != "1",
        "--pty": job.pty,
        "-b": job.gather,
        "-S": job.strict,
        "--checkpoint": job.checkpoint,
        "--first-node": job.first_node,
        "--same": resources.same is not None,
    }
    if bad := next((name for name, is_given in given.items() if is_given), None):
        raise UsageError(f"`{bad}` does not go with tasks: they run wherever a slot is free")


def run_task_job(cluster: ClusterContext, task_job: TaskJob, console: Console) -> int:
    """The exit code of `clbalance run` with tasks: the highest of the tasks'."""
    submission, rules, tasks = task_job.submission, task_job.rules, task_job.tasks
    with submission.check_files(has_tasks=True) as checked:
        if submission.options.detach:
            return submit_detached(cluster, submission, console, checked=checked, rules=rules, tasks=tasks)
        return _run(cluster, task_job, console)


def _run(cluster: ClusterContext, task_job: TaskJob, console: Console) -> int:
    options = task_job.submission.options
    shown = ShownTasks(console, options, cluster.candidates, len(task_job.tasks), task_job.submission.files)
    with contextlib.closing(shown):
        outcome, is_whole = _carry_out(cluster, task_job, shown, console)
    if isinstance(outcome, Plan) and options.explain:
        console.explain(outcome)
    code = report_tasks(outcome, cluster, shown, explained=options.explain)
    return code if code or is_whole else ExitCode.NOT_RUN_TO_ITS_END


def report_tasks(
    outcome: TaskJobResult | Plan, cluster: ClusterContext, shown: ShownTasks, *, explained: bool = False
) -> int:
    """Report how a run of tasks ended; the exit code. Raises `NothingFitsError` for a plan without any slot."""
    if isinstance(outcome, Plan):
        error = nothing_fits(outcome, cluster.candidates, explained=explained)
        error.exit_code = ExitCode.NOT_RUN_TO_ITS_END
        raise error
    shown.summary(outcome)
    interrupted = outcome.result.interrupted
    return outcome.job_outcome.rc if interrupted is None else 128 + interrupted


def _carry_out(
    cluster: ClusterContext, task_job: TaskJob, listener: TaskListener, console: Console
) -> tuple[TaskJobResult | Plan, bool]:
    """How it went, and whether its files are here that are returned."""
    submission = task_job.submission
    query = query_of(cluster, submission, pick=None)
    with cluster.services(meanwhile="clbalance.engine.tasks.task_run", needs_store=True) as services:
        job, restart_policy = submit_job(
            services, submission, query, cluster, rules=task_job.rules, tasks=task_job.tasks
        )
        services.fail_point("submitted")
        context = TaskRunContext(
            services=replace(services, start_queued=partial(start_on, cluster)),
            query=query,
            job=job,
            tasks=task_job.tasks,
            rules=task_job.rules,
            restart_policy=restart_policy,
            stdin=submission.stdin,
            listener=listener,
        )
        outcome = run_tasks_with_files(context, submission.files, is_watched=True)
        return outcome, has_task_results_here(services, console, job, outcome)


def run_tasks_with_files(context: TaskRunContext, files: FilePatterns, *, is_watched: bool) -> TaskJobResult | Plan:
    """Run the tasks, and write their output files."""
    if not files.any:
        return run_tasks(context)
    from clbalance.cli.output.job_files import TaskFileWriter, conclude_task_files  # few jobs have such files

    services = context.services
    with contextlib.closing(TaskFileWriter(services, files, context.listener, is_watched=is_watched)) as writer:
        outcome = run_tasks(replace(context, listener=writer))
    if isinstance(outcome, TaskJobResult) and not outcome.result.left_running:
        conclude_task_files(services, context.job, outcome.records)
    return outcome


def unfinished_tasks(services: Services, record: JobRecord, *, again: bool) -> tuple[Task, ...]:
    """The tasks of a job that have not ended; with `again`, also those that failed."""
    from clbalance.engine.jobs.conclude_tasks import recorded_tasks  # deferred import: docs/design/startup.md

    records = recorded_tasks(services.journal, record.id)
    return tuple(one.task for one in records if one.end is None or (again and not is_done(one)))


# The tasks: one command on each line of a file, or a range of numbers.

_RANGE = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7})(?::([0-9]{1,7}))?)?")
_LONGEST = 131_072  # bytes: MAX_ARG_STRLEN of Linux, with the NUL at the end
_ARRAY_HINT = "numbers and ranges such as `0-99`, `1,3,10-20:2`, with `%20` behind them for 20 at a time"


def tasks_in(path: str) -> tuple[Task, ...]:
    """One task for each line that is not blank, numbered from 1. `UsageError` for a file that cannot be used.

    A line may end with CRLF. Names of files need not be UTF-8.
    """
    try:
        content = without_bom(sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes())
    except OSError as error:
        raise UsageError(f"`--tasks {path}`: {error.strerror}", hint="a file with a command on each line") from error
    except NotUtf8Error as error:
        raise UsageError(f"`--tasks {path}`: {error}", hint=error.hint) from error
    text = content.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    lines = [line for line in text.split("\n") if line.strip()]
    for mark, name in (("\0", "NUL"), ("\r", "carriage return")):
        if bad := next((line for line in lines if mark in line), None):
            raise UsageError(f"`--tasks {path}`: a line holds a {name}: {bad[:40]!r}", hint="a command on each line")
    if bad := next((line for line in lines if len(line) >= _LONGEST), None):
        raise UsageError(f"`--tasks {path}`: a line has {len(bad)} characters", hint="the kernel allows 131071 of them")
    if not lines:
        raise UsageError(f"`--tasks {path}`: no task in it", hint="a command on each line")
    return _bounded(tuple(Task(number=number, words=(line,)) for number, line in enumerate(lines, start=1)))


def array_of(text: str) -> tuple[tuple[Task, ...], int | None]:
    """The tasks of `--array`, and how many of them may run at once (None: no limit). `UsageError` for wrong syntax."""
    ranges, percent, most = text.partition("%")
    if percent and not (re.fullmatch(r"[0-9]{1,6}", most) and int(most) > 0):
        raise UsageError(f"`--array` cannot be {text!r}", hint=_ARRAY_HINT)
    numbers = sorted({number for one in ranges.split(",") for number in _numbers(one, text)})
    return _bounded(tuple(Task(number=number) for number in numbers)), int(most) if percent else None


def rules_of(options: TaskOptions, at_once: int | None) -> TaskRules:
    """How many tasks may run at once, and how many may fail; `UsageError` for a wrong `--max-fail`."""
    text = options.max_fail
    if text is None:
        return TaskRules(at_once=at_once)
    match = re.fullmatch(r"([0-9]{1,7}|[0-9]{1,3}\.[0-9]{1,3})(%?)", text)
    if match is None or ("." in match[1] and not match[2]) or (match[2] and float(match[1]) > 100):
        raise UsageError(
            f"`--max-fail` cannot be {text!r}", hint="a number of tasks such as `3`, or a share such as `5%`"
        )
    return TaskRules(at_once=at_once, max_fail=float(match[1]), max_fail_is_pct=bool(match[2]))


def _numbers(text: str, whole: str) -> Iterator[int]:
    match = _RANGE.fullmatch(text)
    if match is None:
        raise UsageError(f"`--array` cannot be {whole!r}", hint=_ARRAY_HINT)
    first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
    if last < first or step == 0 or (last - first) // step >= MOST_TASKS:
        raise UsageError(f"`--array` cannot be {whole!r}", hint=_ARRAY_HINT)
    yield from range(first, last + 1, step)


def _bounded(tasks: tuple[Task, ...]) -> tuple[Task, ...]:
    if len(tasks) > MOST_TASKS:
        raise UsageError(f"{len(tasks)} tasks are more than {MOST_TASKS}", hint="put several commands into one task")
    return tasks
