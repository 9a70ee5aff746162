"""Lines for standard error. Each begins with `clbalance:`, so that its source is clear in mails from cron."""

from clbalance.errors import ClbalanceError, ExpressionError, PlaybookError
from clbalance.render.text import escape_line
from clbalance.units import counted

OLD_SPELLING = "`{old}` is called `{new}` now; the old spelling goes with a later release"


def error(failure: ClbalanceError) -> str:
    """The error and, on a line of its own, the hint what to type instead."""
    hint = f"hint: {escape_line(failure.hint)}\n" if failure.hint else ""
    place = _place(failure) if isinstance(failure, ExpressionError) and failure.text else ""
    # A line for each problem of a playbook; `Problem.text` has escaped the line breaks of its file.
    lines = failure.message.split("\n") if isinstance(failure, PlaybookError) else [failure.message]
    return "".join(f"clbalance: {escape_line(line)}\n" for line in lines) + place + hint


def _place(failure: ExpressionError) -> str:
    """The expression, and a `^` below the wrong place."""
    before = escape_line(failure.text[: failure.at])
    return f"  {before}{escape_line(failure.text[failure.at :])}\n  {' ' * len(before)}^\n"


def warning(text: str) -> str:
    """A problem that does not end the call."""
    return f"clbalance: warning: {escape_line(text)}\n"


def note(text: str) -> str:
    """A remark; `-q` leaves it out."""
    return f"clbalance: {escape_line(text)}\n"


def jobs_lost(first: int, last: int) -> str:
    """The state database is gone, or was replaced by an older one: what was lost, and what goes on."""
    jobs = f"job {last}" if first == last else f"jobs {first}-{last}"
    return warning(
        f"the state database has lost {jobs}: what runs goes on and is shown by `clbalance jobs -a` (or `-w NODES`),"
        " and no number is used again"
    )


def placed(
    job_id: int, folded: str, *, chosen: int, candidates: int, asked: int, fitting: int, free_gpus: int = 0
) -> str:
    """The nodes of a job. `asked`: how many of the candidates were asked; `fitting`: how many of those fit.

    `free_gpus`: how many GPUs of the chosen nodes are free, and not reserved by the job.
    """
    message = f"job {job_id} on {folded}"
    if candidates > 1:
        best = f"the {chosen} least loaded" if chosen > 1 else "the least loaded"
        number = f"{asked} of {candidates}" if asked < candidates else f"{candidates}"
        message += f", {best} of {fitting} that fit ({number} asked)"
    if free_gpus:
        each = " on each node" if chosen > 1 else ""
        message += f"; {counted(free_gpus, 'GPU')} free there, `--gpus 1` reserves one{each}"
    return note(message)


def sweep_progress(total: int, awaited: int, names: str | None, width: int) -> str:
    """The progress of a sweep in less than `width` characters; with the nodes it waits for, folded, if they fit."""
    message = f"{total - awaited}/{total} nodes have answered"
    named = f"{message}, waiting for {escape_line(names or '')}"
    if names and len(named) < width:
        return named
    return message[: max(0, width - 1)]
