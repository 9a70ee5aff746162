"""The meaning of a typed line: a change of the node set, one of our verbs, a command here, or one for the nodes. Pure.

What is for the nodes goes to them whole. Only lines of our own end at a `;`, or have their output taken by `|` and `>`.
"""

import re
import shlex
from collections.abc import Collection
from typing import Final, TypeAlias

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass

USE: Final = "use"
LEAVE: Final = ("exit", "quit")
OWN_WORDS: Final = (USE, *LEAVE, "help")
"""First words that are neither verbs nor for the nodes."""

_PIECE = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^'"\\;|>]""", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseNodes:
    """Make these nodes the current set; empty: those that the shell began with."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSet:
    """Add (`+`), take away (`-`) or keep only (`&`) these nodes."""

    operator: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowSet:
    """Show the current set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leave:
    """Leave the shell with this exit code; None: with that of the line before."""

    code: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowHelp:
    """Show what can be typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHere:
    """Run a command on this machine."""

    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunVerb:
    """Carry out one of our verbs. `taken_by`: what a shell does with its output, such as `| grep up`."""

    words: tuple[str, ...]
    taken_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOnNodes:
    """Run a command on the current set."""

    command: str


Action: TypeAlias = UseNodes | ChangeSet | ShowSet | Leave | ShowHelp | RunHere | RunVerb | RunOnNodes


def actions_of(line: str, verbs: Collection[str]) -> tuple[Action, ...]:
    """What the line asks for, in order; nothing for an empty line or a comment. `UsageError` for an open quote."""
    found: list[Action] = []
    rest = line.strip()
    while rest and not rest.startswith("#"):
        action, rest = _first(rest, verbs)
        found.append(action)
    return tuple(found)


def first_word(line: str) -> str:
    """The word that says what the line is; empty for one that says it by a sign."""
    return re.split(r"[\s;|>]", line.strip(), maxsplit=1)[0]


def _first(line: str, verbs: Collection[str]) -> tuple[Action, str]:
    if line[0] == "!":
        return RunHere(command=line[1:].strip()), ""
    word = first_word(line)
    if word not in verbs and word not in OWN_WORDS and word != "?" and line[0] not in "+-&@":
        return RunOnNodes(command=line), ""
    own, taken_by, rest = _cut(line)
    if own[0] in "+-&":
        action: Action = ChangeSet(operator=own[0], text=own[1:].strip())
    else:
        action = _own_action(_words(own), taken_by, verbs)
    if taken_by and not isinstance(action, RunVerb):
        raise UsageError(f"`{taken_by[0]}` takes the output of a verb only", hint="such as `load | grep up`")
    return action, rest


def _own_action(words: tuple[str, ...], taken_by: str, verbs: Collection[str]) -> Action:
    action: Action
    match words:
        case ("?",):
            action = ShowSet()
        case ("use", *nodes):
            action = UseNodes(text=",".join(nodes))
        case (nodes,) if nodes.startswith("@"):
            action = UseNodes(text=nodes)
        case (nodes, *_) if nodes.startswith("@"):
            hint = f"`{nodes}; COMMAND` makes them the current nodes, and runs it there"
            raise UsageError(f"`{nodes}` is a node set, and no command", hint=hint)
        case ("exit" | "quit",):
            action = Leave(code=None)
        case ("exit" | "quit", code) if code.isdecimal() and len(code) < 4 and int(code) < 256:
            action = Leave(code=int(code))
        case ("help",):
            action = ShowHelp()
        case (first, *_) if first in verbs:
            action = RunVerb(words=words, taken_by=taken_by)
        case _:
            raise UsageError(
                f"`{words[0]}` cannot be followed by that", hint=f"`command {words[0]} ...` sends it to the nodes"
            )
    return action


def _cut(line: str) -> tuple[str, str, str]:
    """The line up to its first `|`, `>` or `;`; what takes its output; and the line after the first `;`."""
    own, at = _unquoted_until(line, 0, ";|>")
    taken_by = ""
    if line[at : at + 1] in {"|", ">"}:
        begin = at
        while line[at : at + 1] not in {"", ";"}:
            _, at = _unquoted_until(line, at + 1, ";|>")
        taken_by = line[begin:at].strip()
    return own.strip(), taken_by, line[at + 1 :].strip()


def _unquoted_until(line: str, at: int, ends: str) -> tuple[str, int]:
    begin = at
    while at < len(line) and line[at] not in ends:
        piece = _PIECE.match(line, at)
        if piece is None:
            raise UsageError("a quote is not closed", hint=f"close the {line[at]} that begins at character {at + 1}")
        at = piece.end()
    return line[begin:at], at


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise UsageError("a quote is not closed", hint="close it, or put a \\ before it") from error
