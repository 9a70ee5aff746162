"""Names of the files of tasks: `%t` in them is the number of the task. Pure (docs/design/job_files.md)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from clbalance.model.job_files import JobFiles, SentPath

_PLACEHOLDER = re.compile(r"%(.?)", re.DOTALL)
_MAGIC = frozenset("*?[")


def for_task(pattern: str, number: int) -> str:
    """The pattern with the number of a task in it. `ValueError` for a placeholder that is not known."""

    def filled(found: re.Match[str]) -> str:
        if found[1] not in ("t", "%"):
            raise ValueError(f"{found[0]!r} is not known: `%t` is the task, `%%` a per cent sign")
        return str(number) if found[1] == "t" else "%"

    return _PLACEHOLDER.sub(filled, pattern)


def names_the_task(pattern: str) -> bool:
    """Whether the number of the task is in it."""
    return any(found[1] == "t" for found in _PLACEHOLDER.finditer(pattern))


def sent_to(files: JobFiles, number: int) -> tuple[SentPath, ...]:
    """What is sent to one task alone."""
    return tuple(
        replace(one, base=for_task(one.base, number), name=for_task(one.name, number)) for one in files.sent_to_tasks
    )


def result_ending(files: JobFiles, number: int) -> str:
    """What is added here to the names of a task's results, so that those of two tasks never have one name."""
    are_apart = names_the_task(files.into) or all(map(names_the_task, files.returned))
    return "" if are_apart else f".{number}"


def unclear_names(patterns: Sequence[str]) -> str | None:
    """One of these patterns from whose matches the number of the task cannot be told; None: there is none.

    All of them have `%t`. The text before it must be fixed, and no digit may follow it: then a name that begins with
    that text goes on with the number and nothing else.
    """
    heads = {}
    for pattern in patterns:
        head, number, rest = _parts(pattern)
        if not number or _MAGIC & set(head) or rest[:1] in _MAGIC or rest[:1].isdigit() or rest.startswith("%t"):
            return pattern
        heads[head] = pattern
    for one, other in combinations(sorted(heads), 2):
        if other.startswith(one) and other[len(one)].isdigit():
            return heads[other]
    return None


def _parts(pattern: str) -> tuple[str, str, str]:
    """The text before the number, `%t`, and the rest."""
    at = next((found.start() for found in _PLACEHOLDER.finditer(pattern) if found[1] == "t"), len(pattern))
    return pattern[:at].replace("%%", "%"), pattern[at : at + 2], pattern[at + 2 :]


def both_shared_and_own(shared: Sequence[SentPath], own: Sequence[SentPath]) -> str | None:
    """A folder, or a name, of which all tasks share one part and each gets another; None: there is none."""
    tops = set(_tops(shared))
    return next((top for top in _tops(own) if top in tops), None)


def _tops(sent: Sequence[SentPath]) -> Iterator[str]:
    return (one.name.partition("/")[0] for one in sent)
