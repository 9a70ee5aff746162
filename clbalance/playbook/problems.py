"""What is wrong in a playbook: each problem with its place, and all of them as one error."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from clbalance.errors import PlaybookError
from clbalance.lazy_dataclass import dataclass

Path: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top: `("steps", 2, "nodes")`."""

_MOST_SHOWN = 20


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


def playbook_error(file: str, problems: Iterable[Problem]) -> PlaybookError:
    """All problems as one error, in the order of the file."""
    ordered = sorted(problems, key=lambda one: (one.line, one.column))
    lines = [_with_hint(one, file) if len(ordered) > 1 else one.text(file) for one in ordered[:_MOST_SHOWN]]
    if len(ordered) > _MOST_SHOWN:
        lines.append(f"and {len(ordered) - _MOST_SHOWN} more")
    return PlaybookError("\n".join(lines), hint=ordered[0].hint if len(ordered) == 1 else "")


def _with_hint(problem: Problem, file: str) -> str:
    return f"{problem.text(file)} ({problem.hint})" if problem.hint else problem.text(file)


def near(word: str, allowed: Sequence[str], what: str = "allowed") -> str:
    """A hint: the name that was probably meant, or all that are allowed."""
    found = get_close_matches(word, allowed, n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else f"{what}: {' '.join(sorted(allowed))}"
