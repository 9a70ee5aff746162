"""Turn the options of `run` into a job. All but its input is read now: later changes do not change the job."""

import contextlib
import os
import re
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from clbalance.cli.option_values import FutureTime, check_job_name, check_priority, parse_begin_time, parse_signal
from clbalance.cli.options import RequestOptions
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.run.job_files import job_files_of
from clbalance.cli.run.job_input import KeptInput, job_input
from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.work import CommandLine, payload_of
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.job import Checkpoint, Command, Payload, RestartPolicy, Script
from clbalance.model.job_files import JobFiles
from clbalance.model.request import Constraints
from clbalance.model.task import Task
from clbalance.policy.jobs.names import default_name
from clbalance.ports import JobInput
from clbalance.units import parse_duration
from clbalance.user_files import CheckedFile, CheckedFiles
from clbalance.wiring.folders import working_directory
from clbalance.wiring.requests import Resources, constraints_of, parse_pick, resources_of

if TYPE_CHECKING:  # for their types alone
    from clbalance.cli.cluster import ClusterContext
    from clbalance.engine.services import PlacementQuery

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A job that has no number and no nodes yet."""

    options: JobOptions
    name: str
    payload: Payload
    resources: Resources
    constraints: Constraints
    pick: int | None
    env: Mapping[str, str]
    submit_dir: str
    chdir: str
    umask: int
    time_limit_s: float | None
    restart_policy: RestartPolicy
    """Without its dependencies: they are in `options.after`, as typed."""
    policy: str | None
    """As typed."""
    priority: float
    begin: FutureTime | None
    """It is not started before; None: at once."""
    pty: tuple[int, int] | None
    stdin: JobInput
    files: FilePatterns
    """Absolute patterns of its output files."""
    inputs: tuple[str, ...]
    """Files that the job is read from: script, tasks, standard input. None of them may be an output file."""
    job_files: JobFiles | None
    engine: str = ""
    """The batch system that runs it; empty: its nodes are chosen here."""

    @property
    def kept_stdin(self) -> bytes | None:
        """The copy of our standard input to keep with the job; None: there is none."""
        return self.stdin.content if isinstance(self.stdin, KeptInput) else None

    @property
    def may_wait(self) -> bool:
        """Whether the caller has asked to wait: if nothing fits now, for other jobs, or for a time."""
        return self.restart_policy.may_wait or bool(self.options.after) or self.begin is not None

    @property
    def is_placed_at_once(self) -> bool:
        """Whether this process asks the nodes at once."""
        return not (self.options.detach or self.may_wait)

    @property
    def needs_controller(self) -> bool:
        """As `Submitted.needs_controller`."""
        begins_later = bool(self.options.after) or self.begin is not None
        holds_nodes = self.options.first_node and self.pick != 1
        has_any_files = self.files.any or self.job_files is not None
        is_attended = has_any_files or self.options.notify is not None or begins_later or holds_nodes
        return self.restart_policy.needs_controller(is_attended=is_attended)

    def check_files(self, *, has_tasks: bool) -> CheckedFiles:
        """Raises `UsageError` before the job has a number, if its output files cannot be written.

        Close the result after the job's own files: it keeps a FIFO open, so that its reader sees no early end.
        """
        checked = CheckedFiles()
        with contextlib.ExitStack() as failed:
            failed.callback(checked.close)
            for option, typed, pattern in (
                ("--output", self.options.output, self.files.output),
                ("--error", self.options.error, self.files.error),
            ):
                if typed is not None and pattern is not None:
                    from clbalance.render.output.files import check_pattern  # most jobs have no such file

                    file = checked.add(check_pattern(typed, has_tasks=has_tasks))
                    self._check_detached(f"{option} {typed}", file, has_tasks=has_tasks)
                    self._check_inputs(f"{option} {typed}", pattern)
            failed.pop_all()
        return checked

    def _check_detached(self, typed: str, file: CheckedFile, *, has_tasks: bool) -> None:
        """Refuse files that a detached process cannot write: our own descriptors; others if written later."""
        is_written_at_once = self.needs_controller or has_tasks
        if not self.options.detach or not file.is_in_place or self._discards(typed):
            return
        if file.is_of_this_process or not is_written_at_once:
            raise UsageError(
                f"`{typed}` cannot go with `--detach`: only a regular file can be written later",
                hint="name a regular file; `clbalance logs JOB` shows the output as well",
            )

    def _discards(self, typed: str) -> bool:
        return typed.endswith(f" {os.devnull}")

    def _check_inputs(self, typed: str, pattern: str) -> None:
        from clbalance.render.output.files import might_name

        if read := next((path for path in self.inputs if might_name(pattern, path)), None):
            raise UsageError(f"`{typed}` would overwrite {read!r}, which the job reads", hint="another name")


def submission(
    options: JobOptions,
    resources: RequestOptions,
    typed: CommandLine,
    *,
    say: Callable[[str], None],
    tasks: Sequence[Task] = (),
    task_list: str | None = None,
) -> Submission:
    """The submission for these options; `UsageError` for options that are wrong or do not go together.

    `say`: for remarks about standard input. `task_list`: the file that its tasks were read from, as typed.
    """
    if options.strict and options.detach:
        raise UsageError("`-S` and `--detach` exclude each other: nobody waits for the exit code")
    work = payload_of(options.text, typed)
    folder = working_directory()
    script = typed.words[0] if isinstance(work, Script) else None
    return Submission(
        options=options,
        name=_name(options.name, work),
        payload=work,
        resources=resources_of(resources),
        constraints=constraints_of(resources),
        pick=parse_pick(options.pick),
        env={**terminal_kind(options), **dict(_variable(text) for text in options.env or ())},
        submit_dir=str(folder),
        chdir=str(folder / (options.chdir or "")),
        umask=_umask(),
        time_limit_s=None if options.time_limit is None else parse_duration(options.time_limit, "`--time-limit`"),
        restart_policy=_restart_policy(options),
        policy=resources.policy,
        priority=check_priority(options.priority),
        begin=None if options.begin is None else parse_begin_time(options.begin, datetime.now(UTC)),
        pty=terminal_size(options),
        stdin=job_input(
            options,
            taken_for=_taken_for(script, task_list),
            copied_for=_copied_for(options, has_tasks=bool(tasks)),
            say=say,
        ),
        files=FilePatterns(output=_absolute(folder, options.output), error=_absolute(folder, options.error)),
        inputs=tuple(path for path in (script, task_list, options.stdin) if path not in (None, "-")),
        job_files=job_files_of(options, str(folder), [one.number for one in tasks]),
    )


def query_of(cluster: "ClusterContext", asked: Submission, *, pick: int | None) -> "PlacementQuery":
    """The placement query for `pick` copies; None: on all nodes that fit."""
    return cluster.query(pick=pick, resources=asked.resources, constraints=asked.constraints, name=asked.name)


def check_shown_once(options: JobOptions, *, as_json: bool) -> None:
    """`UsageError` for `--json` with an option that says how output is shown."""
    others = {"-b": options.gather, "--label": options.label is not None, "--pty": options.pty}
    if as_json and (other := next((option for option, is_given in others.items() if is_given), None)):
        raise UsageError(f"`--json` and `{other}` are two ways to give the output", hint="one of them")


def _absolute(folder: Path, pattern: str | None) -> str | None:
    """The pattern as an absolute path, independent of the folder in which it is expanded."""
    if pattern is not None and pattern.endswith("\r"):
        raise UsageError(
            f"{pattern!r} cannot be an output file: it ends with a carriage return",
            hint="is it a line of a script with CRLF? `sed -i 's/\\r$//' SCRIPT` takes it away",
        )
    if pattern is None or pattern.startswith("/"):
        return pattern
    return f"{str(folder).replace('%', '%%')}/{pattern}"


def _restart_policy(options: JobOptions) -> RestartPolicy:
    if options.retry < 0:
        raise UsageError(f"`--retry` cannot be {options.retry}", hint="how many times more, 0 or more")
    return RestartPolicy(
        retry=options.retry,
        requeue=options.requeue,
        requeue_exits=_exit_codes(options.requeue_exit),
        queue_for_s=None if options.queue_for is None else parse_duration(options.queue_for, "`--queue-for`"),
        queue=_queue(options),
        checkpoint=checkpoint_of(options),
    )


def _queue(options: JobOptions) -> bool:
    """`--queue`. `UsageError` with options that need a controller: a queued job has none."""
    if not options.queue:
        return False
    if not options.detach:
        raise UsageError(
            "`--queue` needs `--detach`: nobody waits for a job that `clbalance rebalance` will start",
            hint="`clbalance run --detach --queue`, or `--queue-for 2h` to wait here",
        )
    if options.queue_for is not None:
        raise UsageError("`--queue` and `--queue-for` are two ways to wait for a place", hint="one of them")
    if options.notify is not None:
        raise UsageError(
            "`--notify` cannot go with `--queue`: its command would run only when somebody looks, maybe days later",
            hint="`clbalance wait JOB; COMMAND`, in the background",
        )
    return True


def _exit_codes(text: str | None) -> frozenset[int]:
    codes = [] if text is None else text.split(",")
    if not all(re.fullmatch(r"[0-9]{1,3}", code) and 0 < int(code) < 256 for code in codes):
        raise UsageError(f"`--requeue-exit` cannot be {text!r}", hint="codes from 1 to 255, such as `85,75`")
    return frozenset(map(int, codes))


def _name(asked: str | None, work: Payload) -> str:
    match work:
        case Script(name=name):
            name = asked or default_name(name)
        case Command(argv=argv):
            name = asked or default_name(Path(argv[0]).name)
    return check_job_name(name)


def _variable(text: str) -> tuple[str, str]:
    name, equals, content = text.partition("=")
    if not _VARIABLE.fullmatch(name):
        raise UsageError(f"`--env` cannot be {text!r}", hint="`--env NAME=VALUE`, or `--env NAME` to pass it on")
    if not equals and name not in os.environ:
        raise UsageError(f"`--env {name}`: it is not set here", hint=f"`--env {name}=VALUE`")
    return name, content if equals else os.environ[name]


def _umask() -> int:
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _taken_for(script: str | None, task_list: str | None) -> str | None:
    """What our standard input was read for, by the files that were read; None: it was not read."""
    return "read for the script" if script == "-" else "read for the tasks" if task_list == "-" else None


def _copied_for(options: JobOptions, *, has_tasks: bool) -> str | None:
    """The option for which our standard input is copied whole before the start; None: it is passed on as it comes."""
    several = {
        "--tasks or --array": has_tasks,
        f"--pick {options.pick}": options.pick != "1",
        "--detach": options.detach,
        "--retry": options.retry > 0,
        "--requeue": options.requeue,
        "--requeue-exit": options.requeue_exit is not None,
        "--checkpoint": options.checkpoint is not None,
        f"--engine {options.engine}": options.engine not in (None, "ssh"),
    }
    return next((option for option, is_given in several.items() if is_given), None)


# `--checkpoint` and `--checkpoint-file`: how a job is told to save its progress, so that it can be migrated.

_NOT_CATCHABLE = (signal.SIGKILL, signal.SIGSTOP)


def checkpoint_of(options: JobOptions) -> Checkpoint | None:
    """The checkpoint options; `UsageError` for a signal that no job can catch, or a job that cannot be migrated."""
    if options.checkpoint is None:
        if options.checkpoint_file is not None:
            raise UsageError("`--checkpoint-file` without `--checkpoint`", hint="such as `--checkpoint USR1`")
        return None
    if options.pty or options.pick != "1":
        bad = "--pty" if options.pty else "--pick"
        raise UsageError(f"a job with `{bad}` cannot be moved: `--checkpoint` is of no use to it")
    if options.checkpoint_file is not None and ("\0" in options.checkpoint_file or not options.checkpoint_file):
        raise UsageError(
            f"`--checkpoint-file` cannot be {options.checkpoint_file!r}", hint="a file that the job writes"
        )
    name, colon, grace = options.checkpoint.partition(":")
    number = parse_signal(name)
    if number in _NOT_CATCHABLE:
        raise UsageError(f"`--checkpoint {name}`: no job can catch that signal", hint="such as USR1 or TERM")
    meant = Checkpoint(signal=number, file=options.checkpoint_file)
    if not colon:
        return meant
    return Checkpoint(signal=number, file=meant.file, grace_s=parse_duration(grace, "the time in `--checkpoint`"))


# `--pty`

_MOST = 0xFFFF  # rows and columns


def terminal_size(options: JobOptions) -> tuple[int, int] | None:
    """Rows and columns of our terminal; None without `--pty`. `UsageError` if it cannot be used."""
    if not options.pty:
        return None
    others = {
        "--detach": options.detach,
        "--begin": options.begin is not None,
        "-b": options.gather,
        "--output": options.output is not None,
        "--error": options.error is not None,
        "--stdin": options.stdin is not None,
        f"--pick {options.pick}": options.pick != "1",
    }
    for option in (name for name, given in others.items() if given):
        raise UsageError(
            f"`--pty` and `{option}` exclude each other", hint="one program, on one node, on this terminal"
        )
    if not os.isatty(0):
        raise UsageError("`--pty` needs a terminal on standard input", hint="leave it out: `run` needs none")
    size = os.get_terminal_size(0)
    return min(size.lines, _MOST), min(size.columns, _MOST)


def terminal_kind(options: JobOptions) -> Mapping[str, str]:
    """The environment variable TERM for the job; empty without `--pty`."""
    return {"TERM": os.environ.get("TERM") or "dumb"} if options.pty else {}
