"""One press of the Tab key: the line so far comes in, candidates go out.

The first line of the answer says what follows: `words`, each in a line with its explanation after a tab, or what the
shell shall offer itself: `files`, `folders` or `commands`.
"""

import os
import sys

from clbalance.cli.complete.candidates import Answer, answer_for
from clbalance.cli.complete.known import KnownNames
from clbalance.cli.complete.line import Typed, typed_line, typed_words
from clbalance.cli.complete.table import command_table
from clbalance.cli.complete.wanted import wanted
from clbalance.errors import StoreError
from clbalance.store.location import state_directory, this_machine

VARIABLE = "_CLBALANCE_COMPLETE"
"""Set by the scripts. `line`: arguments are the line up to the cursor, and bash's word breaks; `words`: the words."""


def answer(arguments: list[str]) -> int:
    """Print the answer; nothing for a call that no script of ours makes."""
    match os.environ[VARIABLE], arguments:
        case "line", [line, breaks]:
            typed = typed_line(line)
            found = _answer(typed)
            sys.stdout.write(_for_bash(found, typed, breaks))
        case "words", [*words]:
            sys.stdout.write(_text(_answer(typed_words(words))))
        case _:
            pass
    return 0


def _answer(typed: Typed) -> Answer:
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        folder = None  # every press takes longer, and no names are known
    at_cursor = wanted(command_table(folder), typed)
    return answer_for(at_cursor, KnownNames(folder), is_plain_word=typed.is_plain)


def _text(found: Answer) -> str:
    return "\n".join([found.source, *(f"{one.word}\t{one.help}" for one in found.candidates)]) + "\n"


def _for_bash(found: Answer, typed: Typed, breaks: str) -> str:
    """Words alone, and of each only what readline replaces: the part after the last word break, if no quote is open.

    `@` and `$` break words, too, but belong to the word that they begin (readline's `rl_special_prefixes`).
    """
    ends = ((typed.current.rfind(one), one not in "@$") for one in breaks)
    at = 0 if typed.is_open else max((place + after for place, after in ends if place >= 0), default=0)
    return "\n".join([found.source, *(one.word[at:] for one in found.candidates)]) + "\n"
