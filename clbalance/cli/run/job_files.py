"""`run --send`, `--return` and `--return-to`: the files that travel with a job (docs/design/job_files.md)."""

import os
from pathlib import Path

from clbalance.cli.run.options import JobOptions
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.model.job_files import JobFiles, SentPath


def job_files_of(options: JobOptions, folder: str, *, has_tasks: bool) -> JobFiles | None:
    """The files for these options, None without any; `UsageError` for options that are wrong or do not go together."""
    if not options.send and not options.returned:
        if options.return_to is not None:
            raise UsageError("`--return-to` without `--return`", hint="such as `--return 'out/*.csv'`")
        return None
    _check_companions(options, has_tasks=has_tasks)
    return JobFiles(
        sent=_sent(options.send or (), folder),
        returned=_patterns(options.returned or ()),
        into=_return_folder(options, folder),
    )


def _check_companions(options: JobOptions, *, has_tasks: bool) -> None:
    option = "--send" if options.send else "--return"
    if has_tasks:
        raise UsageError(
            f"`{option}` does not go with tasks: they share no folder on their nodes",
            hint="`clbalance copy` and `clbalance fetch` before and after, or one job for each task",
        )
    if options.checkpoint is not None:
        raise UsageError(
            f"`{option}` and `--checkpoint` exclude each other: what a job saves in its work folder stays on the node"
            " that it leaves",
            hint="a folder that all nodes share, with `--chdir`",
        )


def _sent(typed: list[str] | tuple[str, ...], folder: str) -> tuple[SentPath, ...]:
    """What is under these names now."""
    from clbalance.engine.files.sent_paths import look_at
    from clbalance.policy.jobs.job_files import arrival, clash
    from clbalance.user_files.trees import SourceRefusedError

    found = []
    for path in typed:
        try:
            base, name = arrival(path, folder)
            found.append(look_at(base, name))
        except ValueError as error:
            raise UsageError(f"`--send {path}`: {error}", hint="a file or a folder, such as `--send data`") from error
        except SourceRefusedError as error:
            raise UsageError(
                f"`--send {path}`: {error.path!r}: {error.reason}", hint="a file or a folder that you may read"
            ) from error
    if met := clash(found):
        first, second = met
        raise UsageError(
            f"{first.path!r} and {second.path!r} would arrive under one name: {second.name.partition('/')[0]!r}",
            hint="give one of them another name, or send a folder that has both",
        )
    return tuple(found)


def _patterns(typed: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    from clbalance.policy.jobs.job_files import MOST_PATTERNS, unusable_pattern

    if len(typed) > MOST_PATTERNS:
        raise UsageError(f"more than {MOST_PATTERNS} times `--return`", hint="a pattern that matches several files")
    for pattern in typed:
        if reason := unusable_pattern(pattern):
            raise UsageError(
                f"`--return {pattern}`: {reason}", hint="a pattern relative to that folder, such as `'out/*.csv'`"
            )
    relative = (pattern.removeprefix("./").rstrip("/") for pattern in typed)
    return tuple("*" if pattern in ("", ".") else pattern for pattern in relative)


def _return_folder(options: JobOptions, folder: str) -> str:
    """The pattern of the folder that results are written to; it is made when they come."""
    if not options.returned:
        return ""
    from clbalance.render.output.files import expand

    typed = options.return_to or "."
    if len({expand(typed, job_id=1, node=NodeName(node), attempt=1) for node in ("a", "b")}) > 1:
        raise UsageError(
            f"`--return-to {typed}`: `%n` is not for folders of results",
            hint="with several copies, each result has the name of its node",
        )
    if "%" not in typed:
        _check_can_be_made(typed, Path(folder, typed))
    return str(Path(folder.replace("%", "%%"), typed))


def _check_can_be_made(typed: str, into: Path) -> None:
    """`UsageError` unless the folder, or else the nearest one above it, can be written to."""
    above = next((one for one in (into, *into.parents) if os.path.lexists(one)), Path("/"))
    if not above.is_dir():
        raise UsageError(f"`--return-to {typed}`: {str(above)!r} is no folder", hint="a folder of yours")
    if above == into:
        from clbalance.user_files import FileRefusedError
        from clbalance.user_files.trees.writing import opened_folder

        try:
            with opened_folder(str(into)):
                pass
        except FileRefusedError as error:
            raise UsageError(
                f"results would come into {str(into)!r}: {error.reason}",
                hint="`--return-to DIR`, with a folder of yours",
            ) from error
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(
            f"results would come into {str(into)!r}, and you may not write to {str(above)!r}",
            hint="`--return-to DIR`, with a folder of yours",
        )
