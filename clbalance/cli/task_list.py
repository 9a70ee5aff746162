"""From what was typed to tasks: a command a line, or a range of numbers."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from clbalance.cli.task_options import TaskOptions
from clbalance.errors import UsageError
from clbalance.job import TaskRules
from clbalance.task import MOST_TASKS, Task

_RANGE = re.compile(r"([0-9]{1,7})(?:-([0-9]{1,7})(?::([0-9]{1,7}))?)?")
_LONGEST = 131_072  # MAX_ARG_STRLEN of Linux, its NUL included
_ARRAY_HINT = "numbers and ranges such as `0-99`, `1,3,10-20:2`, with `%20` behind them for 20 at a time"


def tasks_in(path: str) -> tuple[Task, ...]:
    """One task for each line of a file that is not blank, numbered from 1."""
    try:
        content = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
    except OSError as error:
        raise UsageError(f"`--tasks {path}`: {error.strerror}", hint="a file with a command on each line") from error
    lines = [line for line in content.decode("utf-8", "surrogateescape").split("\n") if line.strip()]
    if bad := next((line for line in lines if "\0" in line), None):
        raise UsageError(f"`--tasks {path}`: a line holds a NUL: {bad[:40]!r}", hint="a command on each line")
    if bad := next((line for line in lines if len(line) >= _LONGEST), None):
        raise UsageError(f"`--tasks {path}`: a line has {len(bad)} characters", hint="the kernel allows 131071 of them")
    if not lines:
        raise UsageError(f"`--tasks {path}`: no task in it", hint="a command on each line")
    return _bounded(tuple(Task(number=number, words=(line,)) for number, line in enumerate(lines, start=1)))


def array_of(text: str) -> tuple[tuple[Task, ...], int | None]:
    """The tasks of `--array`, and how many of them may run at once."""
    ranges, percent, most = text.partition("%")
    if percent and not (re.fullmatch(r"[0-9]{1,6}", most) and int(most) > 0):
        raise UsageError(f"`--array` cannot be {text!r}", hint=_ARRAY_HINT)
    numbers = sorted({number for one in ranges.split(",") for number in _numbers(one, text)})
    return _bounded(tuple(Task(number=number) for number in numbers)), int(most) if percent else None


def rules_of(options: TaskOptions, at_once: int | None) -> TaskRules:
    """What the tasks may do; `UsageError` where that cannot be meant."""
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
