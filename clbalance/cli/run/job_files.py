"""`run --send`, `--return` and `--return-to`: the files that travel with a job (docs/design/job_files.md)."""

import os
from collections.abc import Sequence
from pathlib import Path

from clbalance.cli.run.options import JobOptions
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.model.job_files import JobFiles


def job_files_of(options: JobOptions, folder: str, tasks: Sequence[int]) -> JobFiles | None:
    """The files for these options, None without any; `UsageError` for options that are wrong or do not go together.

    `tasks`: the numbers of the job's tasks; empty: it has none.
    """
    if not options.send and not options.returned:
        if options.return_to is not None:
            raise UsageError("`--return-to` without `--return`", hint="such as `--return 'out/*.csv'`")
        return None
    from clbalance.cli.run.sent_files import sent_now, sent_with_tasks  # few jobs have files that travel

    if options.checkpoint is not None:
        _check_checkpoint(options)
    returned = _patterns(options.returned or ())
    into = _return_folder(options, folder, has_tasks=bool(tasks))
    if tasks:
        _check_results(returned, into)
        shared, own = sent_with_tasks(options.send or (), folder, tasks)
        return JobFiles(sent=shared, sent_to_tasks=own, returned=returned, into=into)
    return JobFiles(sent=sent_now(options.send or (), folder), returned=returned, into=into)


def _check_checkpoint(options: JobOptions) -> None:
    """`UsageError` unless the job saves its progress where its next node finds it."""
    if options.chdir is None:
        option = "--send" if options.send else "--return"
        raise UsageError(
            f"`{option}` with `--checkpoint` needs `--chdir`: what a job saves in its work folder stays on the node"
            " that it leaves",
            hint="`--chdir DIR`, a folder that all nodes share; inputs are in `$CLBALANCE_JOB_DIR/work`, sent again to"
            " each node",
        )


def _patterns(typed: Sequence[str]) -> tuple[str, ...]:
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


def _check_results(patterns: Sequence[str], into: str) -> None:
    """`UsageError` if results of two tasks could have one name here."""
    from clbalance.cli.run.sent_files import filled
    from clbalance.policy.jobs.task_files import names_the_task, unclear_names

    for pattern in patterns:
        filled("--return", pattern, 0)
    is_flat = not names_the_task(into) and all(map(names_the_task, patterns))
    if is_flat and (unclear := unclear_names(patterns)):
        raise UsageError(
            f"`--return {unclear}`: two tasks could return one name",
            hint="no wildcard before `%t`, and no wildcard or digit after it, as in `out-%t.*`;"
            " or a folder for each task: `--return-to 'DIR/%t'`",
        )


def _return_folder(options: JobOptions, folder: str, *, has_tasks: bool) -> str:
    """The pattern of the folder that results are written to; it is made when they come."""
    if not options.returned:
        return ""
    from clbalance.render.output.files import expand

    typed = options.return_to or "."
    task = 1 if has_tasks else None
    if len({expand(typed, job_id=1, node=NodeName(node), attempt=1, task=task) for node in ("a", "b")}) > 1:
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
