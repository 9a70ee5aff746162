"""`run --send`: what is sent with a job. A name with `%t` is that of one task (docs/design/job_files.md)."""

from collections.abc import Sequence

from clbalance.engine.files.sent_paths import look_at
from clbalance.errors import UsageError
from clbalance.model.job_files import JobFiles, SentPath
from clbalance.policy.jobs.job_files import arrival, clash
from clbalance.policy.jobs.task_files import both_shared_and_own, for_task, names_the_task, sent_to
from clbalance.user_files.trees import SourceRefusedError


def sent_now(typed: Sequence[str], folder: str) -> tuple[SentPath, ...]:
    """What is under these names now. `UsageError` if something is missing, or two would meet on the node."""
    found = tuple(_found_now(path, *_arrival_of(path, folder)) for path in typed)
    _check_apart(found)
    return found


def _arrival_of(typed: str, folder: str) -> tuple[str, str]:
    """As `policy.jobs.job_files.arrival`; `UsageError`."""
    try:
        return arrival(typed, folder)
    except ValueError as error:
        raise UsageError(f"`--send {typed}`: {error}", hint="a file or a folder, such as `--send data`") from error


def _found_now(typed: str, base: str, name: str) -> SentPath:
    """What is under a name now. `UsageError` if it cannot be read."""
    try:
        return look_at(base, name)
    except SourceRefusedError as error:
        raise UsageError(
            f"`--send {typed}`: {error.path!r}: {error.reason}", hint="a file or a folder that you may read"
        ) from error


def _check_apart(sent: Sequence[SentPath]) -> None:
    """`UsageError` for two sent paths that would meet on the node."""
    if met := clash(sent):
        first, second = met
        raise UsageError(
            f"{first.path!r} and {second.path!r} would arrive under one name: {second.name.partition('/')[0]!r}",
            hint="give one of them another name, or send a folder that has both",
        )


def sent_with_tasks(
    typed: Sequence[str], folder: str, tasks: Sequence[int]
) -> tuple[tuple[SentPath, ...], tuple[SentPath, ...]]:
    """What all tasks share, and what each gets for itself. `UsageError` if any of it is missing now."""
    for path in typed:
        filled("--send", path, tasks[0])
    shared = [path for path in typed if not names_the_task(path)]
    found = tuple(_found_now(path, *_arrival_of(for_task(path, 0), folder)) for path in shared)
    _check_apart(found)
    own = tuple(_own(path, folder, tasks) for path in typed if names_the_task(path))
    for number in tasks if len(own) > 1 else ():
        _check_apart(sent_to(JobFiles(sent_to_tasks=own), number))
    for number in tasks if own else ():
        if top := both_shared_and_own(found, sent_to(JobFiles(sent_to_tasks=own), number)):
            raise UsageError(
                f"{top!r} would be shared by all tasks, and have files of task {number} alone",
                hint="send what has `%t` in its name under another name, or from another folder",
            )
    return found, own


def _own(typed: str, folder: str, tasks: Sequence[int]) -> SentPath:
    """A path with `%t`; files and sizes are those of all tasks."""
    base, name = _arrival_of(typed, folder.replace("%", "%%"))
    all_of_them = [_found_now(typed, for_task(base, number), for_task(name, number)) for number in tasks]
    return SentPath(
        base=base,
        name=name,
        files=sum(one.files for one in all_of_them),
        size_bytes=sum(one.size_bytes for one in all_of_them),
        newest_ns=max(one.newest_ns for one in all_of_them),
    )


def filled(option: str, pattern: str, number: int) -> str:
    """A pattern with the number of a task in it; `UsageError`."""
    try:
        return for_task(pattern, number)
    except ValueError as error:
        raise UsageError(f"`{option} {pattern}`: {error}", hint="such as `input-%t.csv`") from error
