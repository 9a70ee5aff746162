"""What is wrong in a playbook: each problem with its place, and all of them as one error."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from clbalance.errors import Mistake, PlaybookError
from clbalance.lazy_dataclass import dataclass
from clbalance.near_words import did_you_mean

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top: `("steps", 2, "nodes")`."""

_MOST_SHOWN = 20
_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong. `line` and `column` count from 1; 0 if the place is the whole file."""

    message: str
    hint: str = ""
    path: Path = ()
    line: int = 0
    column: int = 0

    def text(self, file: str) -> str:
        """The problem in one line: `rolling.yml:10:14: steps[1].retries: must be a whole number`."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        path = f"{path_text(self.path)}: " if self.path else ""
        return f"{place}: {path}{self.message}".replace("\n", "\\n")


def path_text(path: Path) -> str:
    """`steps[2].nodes`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def path_of(text: str) -> Path:
    """The path of a text such as `steps[2].nodes`."""
    return tuple(int(at) if at else key for key, at in _PART.findall(text))


def playbook_error(file: str, problems: Iterable[Problem]) -> PlaybookError:
    """All problems as one error, in the order of the file."""
    ordered = sorted(problems, key=lambda one: (one.line, one.column))
    lines = [_with_hint(one, file) if len(ordered) > 1 else one.text(file) for one in ordered[:_MOST_SHOWN]]
    if len(ordered) > _MOST_SHOWN:
        lines.append(f"and {len(ordered) - _MOST_SHOWN} more")
    mistakes = tuple(
        Mistake(file, one.line, one.column, path_text(one.path), message=one.message, hint=one.hint) for one in ordered
    )
    return PlaybookError("\n".join(lines), hint=ordered[0].hint if len(ordered) == 1 else "", mistakes=mistakes)


def _with_hint(problem: Problem, file: str) -> str:
    return f"{problem.text(file)} ({problem.hint})" if problem.hint else problem.text(file)


def near(word: str, allowed: Sequence[str], what: str = "allowed") -> str:
    """A hint: the name that was probably meant, or all that are allowed."""
    return did_you_mean(word, allowed, f"{what}: {' '.join(sorted(allowed))}")
