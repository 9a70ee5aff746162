"""What the Tab key offers: verbs, options and names that earlier commands have met. No node is asked."""

from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from clbalance.cli.complete.candidates import Answer, Candidate, answer_for
from clbalance.cli.complete.commands import Command, Value
from clbalance.cli.complete.known import KnownNames
from clbalance.cli.complete.line import Typed, typed_line
from clbalance.cli.complete.table import command_table
from clbalance.cli.complete.wanted import Wanted, wanted
from clbalance.policy.shell.line import OWN_WORDS, USE

_NO_COMMAND = Command(help="", options=(), arguments=(), commands={}, mixed=True)


def candidates_for(line: str, folder: Path | None) -> tuple[Typed, Answer]:
    """What may stand at the end of the line."""
    table, known = command_table(folder), KnownNames(folder)
    if line[:1] in {"+", "-", "&"} or line.startswith(f"{USE} "):
        at = 1 if line[:1] in {"+", "-", "&"} else len(USE) + 1
        text = line[at:].rpartition(" ")[2]
        asked = Wanted(_NO_COMMAND, text, value=Value("NODES"))
        return Typed((), text), answer_for(asked, known, is_plain_word=True)
    typed = typed_line(f"clbalance {line}")
    if not typed.before:
        words = [*(Candidate(verb, one.help) for verb, one in table.commands.items()), *map(Candidate, OWN_WORDS)]
        found = tuple(one for one in words if one.word.startswith(typed.current))
        return typed, Answer("words", found)
    if typed.before[0] not in table.commands:
        return typed, Answer("words")
    return typed, answer_for(wanted(table, typed), known, is_plain_word=typed.is_plain)


class ShellCompleter(Completer):
    """For prompt_toolkit, which calls it in a thread."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The candidates for the word before the cursor."""
        typed, answer = candidates_for(document.text_before_cursor.lstrip(), self._folder)
        if answer.source in {"files", "folders"}:
            word = Document(typed.current, len(typed.current))
            yield from self._paths.get_completions(word, complete_event)
        for one in answer.candidates:
            yield Completion(one.word, start_position=-len(typed.current), display_meta=one.help)
