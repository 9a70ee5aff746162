"""What the Tab key offers: verbs, options and names that earlier commands have met. No node is asked."""

import re
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
from clbalance.policy.shell.selectors import SHORT_FORMS

_NO_COMMAND = Command(help="", options=(), arguments=(), commands={}, mixed=True)


def candidates_for(line: str, folder: Path | None) -> tuple[Typed, Answer]:
    """What may stand at the end of the line."""
    table, known = command_table(folder), KnownNames(folder)
    if line[:1] in {"+", "-", "&", "@"} or line.startswith(f"{USE} "):
        at = {"+": 1, "-": 1, "&": 1, "@": 0}.get(line[0], len(USE) + 1)
        text = line[at:].rpartition(" ")[2]
        asked = Wanted(_NO_COMMAND, text, value=Value("NODES"))
        return Typed((), text), _with_selectors(asked, answer_for(asked, known, is_plain_word=True))
    typed = typed_line(f"clbalance {line}")
    if not typed.before:
        words = [*(Candidate(verb, one.help) for verb, one in table.commands.items()), *map(Candidate, OWN_WORDS)]
        found = tuple(one for one in words if one.word.startswith(typed.current))
        return typed, Answer("words", found)
    if typed.before[0] not in table.commands:
        return typed, Answer("words")
    asked = wanted(table, typed)
    return typed, _with_selectors(asked, answer_for(asked, known, is_plain_word=typed.is_plain))


def _with_selectors(asked: Wanted, answer: Answer) -> Answer:
    """In a node set, `@idle` and the like may stand wherever a group can."""
    if asked.value is None or asked.value.kind != "NODES":
        return answer
    before, element = re.fullmatch(r"(.*[,!&^])?(.*)", asked.text, re.DOTALL).groups("")  # type: ignore[union-attr]  # matches everything
    found = [Candidate(f"{asked.kept}{before}{one}", "nodes") for one in SHORT_FORMS if one.startswith(element)]
    there = {one.word for one in answer.candidates}
    return answer._replace(candidates=(*answer.candidates, *(one for one in found if one.word not in there)))


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
