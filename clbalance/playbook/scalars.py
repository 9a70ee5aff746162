"""Values with a unit: durations, shares of nodes, file modes. What is wrong is collected, with its place."""

import re

from clbalance.errors import ExpressionError, UsageError
from clbalance.model.playbook import Share
from clbalance.playbook.conditions import Facts, compile_condition
from clbalance.playbook.document import Document
from clbalance.playbook.problems import Path, Problem
from clbalance.units import parse_duration

_SHARE = re.compile(r"(\d{1,7})\s?(%?)")
_MODE = re.compile(r"0?[0-7]{3}")


class Scalars:
    """Reads values of one document."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.problems: list[Problem] = []

    def refuse(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> None:
        """Note that something is wrong at this path."""
        self.problems.append(self.document.problem(path, message, hint, at_key=at_key))

    def duration(self, path: Path, given: str | float, *, least: float = 0.001) -> float:
        """Seconds. Bare numbers are seconds."""
        if isinstance(given, int | float) and given == 0 and least <= 0:
            return 0.0
        try:
            return parse_duration(str(given), "a duration")
        except UsageError as error:
            self.refuse(path, f"`{str(given)[:40]}` is no duration", error.hint)
            return max(least, 1.0)

    def optional_duration(self, path: Path, given: str | float | None) -> float | None:
        return None if given is None else self.duration(path, given)

    def share(self, path: Path, given: str | int, *, least: int = 1) -> Share:
        """A number of nodes, or a percentage."""
        found = _SHARE.fullmatch(str(given).strip())
        if found is None or int(found[1]) < least or (found[2] and int(found[1]) > 100):
            hint = f"a number from {least}, or a percentage such as `25%`"
            self.refuse(path, f"`{str(given)[:40]}` is no number of nodes", hint)
            return Share(number=1)
        return Share(number=int(found[1]), is_percent=bool(found[2]))

    def optional_share(self, path: Path, given: str | int | None, *, least: int = 1) -> Share | None:
        return None if given is None else self.share(path, given, least=least)

    def mode(self, path: Path, given: str | int | None) -> int | None:
        """A file's mode in octal digits, as for chmod; never setuid, setgid or sticky."""
        if given is None:
            return None
        text = self.document.raw.get(path, str(given))
        if not _MODE.fullmatch(text):
            self.refuse(path, f"`{text[:40]}` is no mode", "three octal digits, such as `0644`; setuid is not possible")
            return None
        return int(text, 8)

    def condition(self, path: Path, given: str | bool | None, facts: Facts) -> str | None:
        """The text of a condition that was compiled once, as a check."""
        if given is None:
            return None
        try:
            return compile_condition(given, facts, str(path[-1])).text
        except ExpressionError as error:
            self.refuse(path, error.message, error.hint)
            return None
