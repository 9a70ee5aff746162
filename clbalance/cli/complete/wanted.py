"""What may stand at the cursor: a verb, an option, or the value of an option or an argument. Pure."""

from typing import NamedTuple

from clbalance.cli.complete.commands import Command, Option, Value
from clbalance.cli.complete.line import Typed


class Wanted(NamedTuple):
    """`kept` is the part of the cursor's word that stays, such as `--policy=`; `text` is the part to complete."""

    command: Command
    text: str
    kept: str = ""
    value: Value | None = None
    """The value that is wanted; None: a verb or an option."""
    used: frozenset[str] = frozenset()
    """Names of options that stand there already, or words of this argument."""
    options: frozenset[str] = frozenset()
    """For an argument: the names of options that stand there already."""


def wanted(program: Command, typed: Typed) -> Wanted:
    """What may stand at the cursor. Words that mean nothing are skipped, as far as that can be told."""
    walk = _Walk(program)
    for word in typed.before:
        walk.take(word)
    return walk.at_cursor(typed.current)


class _Options(NamedTuple):
    """The options in one word; `value_at`: where in it the value of the last one begins, None if that takes none.

    If that is the end of the word, the next word is the value.
    """

    options: list[Option]
    value_at: int | None = None


class _Walk:
    """Reads word by word, as the parser will."""

    def __init__(self, program: Command) -> None:
        self._program = program
        self._command = program
        self._due: Option | None = None  # its value is the next word
        self._words: list[str] = []  # the arguments so far
        self._used: set[str] = set()
        self._only_words = False  # after `--`, or after the script of `run`
        self._exact = False  # after `--` in front of the first argument

    def take(self, word: str) -> None:
        if self._due is not None:
            self._due = None
        elif self._only_words or not word.startswith("-") or word == "-":
            self._take_word(word)
        elif word == "--":
            self._only_words = True
            self._exact = not self._words
        else:
            read = self._options_in(word)
            self._used.update(name for option in read.options for name in option.names)
            awaits = read.value_at == len(word) and not word.endswith("=")
            self._due = read.options[-1] if awaits else None

    def _take_word(self, word: str) -> None:
        if self._command.commands and not self._only_words:
            self._command = self._command.commands.get(word, _UNKNOWN)
            self._used.clear()
            return
        self._words.append(word)
        self._only_words = self._only_words or not self._command.mixed

    def at_cursor(self, word: str) -> Wanted:
        command = self._command
        if self._due is not None:
            return Wanted(command, word, value=self._due.value)
        if not self._only_words and word.startswith("-"):
            read = self._options_in(word)
            at = read.value_at
            if at is not None and (at < len(word) or word.endswith("=")):
                return Wanted(command, word[at:], kept=word[:at], value=read.options[-1].value)
            return Wanted(command, word, used=frozenset(self._used))
        if command.commands and not self._only_words:
            return Wanted(command, word, used=frozenset(self._used))
        value = self._argument()
        options = frozenset(self._used)
        return Wanted(command, word, value=value, used=frozenset(self._words) if value else options, options=options)

    def _options_in(self, word: str) -> "_Options":
        """The options of `--name`, `--name=value`, `-x`, `-xyz` or `-xvalue`."""
        if word.startswith("--"):
            name, equals, _ = word.partition("=")
            option = self._command.option(name)
            if option is None:
                return _Options([])
            return _Options([option], None if option.value is None else len(name) + len(equals))
        found: list[Option] = []
        for at, letter in enumerate(word[1:], start=2):
            option = self._command.option(f"-{letter}")
            if option is None:
                break
            found.append(option)
            if option.value is not None:
                return _Options(found, at)
        return _Options(found)

    def _argument(self) -> Value | None:
        """The kind of the next argument; None if there is none any more."""
        if not self._command.mixed and self._words:
            return Value("FILE")  # the words of the script are the script's own
        if not self._command.mixed and self._exact:
            return Value("COMMAND")
        arguments = self._command.arguments
        if len(self._words) < len(arguments):
            argument = arguments[len(self._words)]
        elif arguments and arguments[-1].repeats:
            argument = arguments[-1]
        else:
            return None
        if argument.value.kind == "VERB":
            return Value("", tuple(self._verb_named().commands))
        return argument.value

    def _verb_named(self) -> Command:
        """For `help`: the command that its words name so far."""
        named = self._program
        for word in self._words:
            named = named.commands.get(word, _UNKNOWN)
        return named


_UNKNOWN = Command(help="", options=(), arguments=(), commands={}, mixed=True)
