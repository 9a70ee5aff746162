"""The verbs and their options, as values. Pure."""

from collections.abc import Mapping
from typing import NamedTuple


class Value(NamedTuple):
    """What an option or an argument takes: `kind` says where candidates come from, `words` are some of them."""

    kind: str
    words: tuple[str, ...] = ()


class Option(NamedTuple):
    """One option with all its names."""

    names: tuple[str, ...]
    value: Value | None
    """None: it takes none."""
    repeats: bool
    help: str


class Argument(NamedTuple):
    """One positional argument."""

    value: Value
    repeats: bool


class Command(NamedTuple):
    """The program, a verb, or a verb of a verb."""

    help: str
    options: tuple[Option, ...]
    arguments: tuple[Argument, ...]
    commands: Mapping[str, "Command"]
    mixed: bool
    """Whether options may come after arguments."""

    def option(self, name: str) -> Option | None:
        """The option of that name, with its dashes."""
        return next((option for option in self.options if name in option.names), None)
