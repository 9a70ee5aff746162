"""Lines for standard error: what is said beside the data. Every one begins with `clbalance:`, as cron mails need."""

from clbalance.errors import ClbalanceError, ExpressionError
from clbalance.render.text import escape_line


def error(failure: ClbalanceError) -> str:
    """What is wrong and, on a line of its own, what to type instead."""
    hint = f"hint: {escape_line(failure.hint)}\n" if failure.hint else ""
    place = _place(failure) if isinstance(failure, ExpressionError) and failure.text else ""
    return f"clbalance: {escape_line(failure.message)}\n{place}{hint}"


def _place(failure: ExpressionError) -> str:
    """The expression, and below it a mark where it is wrong."""
    before = escape_line(failure.text[: failure.at])
    return f"  {before}{escape_line(failure.text[failure.at :])}\n  {' ' * len(before)}^\n"


def warning(text: str) -> str:
    """Something the user should know, though the work goes on."""
    return f"clbalance: warning: {escape_line(text)}\n"


def note(text: str) -> str:
    """Something said in passing; `-q` leaves it out."""
    return f"clbalance: {escape_line(text)}\n"


def placed(job_id: int, folded: str, *, chosen: int, candidates: int, fitting: int) -> str:
    """Where a job went, and out of how many: `candidates` were named, `fitting` of them could have taken it."""
    if candidates <= 1:
        return note(f"job {job_id} on {folded}")
    best = f"the {chosen} least loaded" if chosen > 1 else "the least loaded"
    return note(f"job {job_id} on {folded}, {best} of {fitting} that fit ({candidates} asked)")


def sweep_progress(total: int, awaited: int, names: str | None, width: int) -> str:
    """How far a sweep has come, in less than one line: with the folded `names` that it waits for, where they fit."""
    message = f"{total - awaited}/{total} nodes have answered"
    named = f"{message}, waiting for {escape_line(names or '')}"
    if names and len(named) < width:
        return named
    return message[: max(0, width - 1)]
