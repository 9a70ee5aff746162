"""The candidates for what is wanted at the cursor, or the word to a shell that it shall offer its own files."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from clbalance.cli.complete.known import KnownNames
from clbalance.cli.complete.wanted import Wanted

_MOST_LISTED = 20  # jobs that are over, where nothing is typed yet
_ACTIVE = frozenset({"PENDING", "RUNNING"})
_NODE_SET = re.compile(r"[A-Za-z0-9_.,:@!&^*?/\[\]-]*")
_LISTS = frozenset({"COLUMNS", "STATES"})
"""Kinds of values that are lists of words."""
_SHELL: Mapping[str, str] = {
    "COMMAND": "commands",
    "DIR": "folders",
    "FILE": "files",
    "PATH": "files",
    "SCRIPT": "files",
}
"""What the shell itself knows, by kind of value."""


_NAME_OR_FILE = frozenset({"PLAYBOOK"})
"""Kinds of values that are a file if they have a slash."""
_OF_RUNS = ("--show", "--continue", "--rollback")
"""Options of `play` with which the argument is a run."""


class Candidate(NamedTuple):
    """A whole word, and what it is; nothing of it is expanded by a shell."""

    word: str
    help: str = ""


class Answer(NamedTuple):
    """`source`: `words` for `candidates`; else what the shell shall offer: `files`, `folders` or `commands`."""

    source: str
    candidates: tuple[Candidate, ...] = ()


def answer_for(wanted: Wanted, known: KnownNames, *, is_plain_word: bool) -> Answer:
    """The answer. A word that a shell would still change is completed by files only."""
    if wanted.value is not None and wanted.value.kind in _SHELL:
        return Answer(_SHELL[wanted.value.kind])
    if wanted.value is not None and wanted.value.kind in _NAME_OR_FILE and "/" in wanted.text:
        return Answer("files")
    if not is_plain_word:
        return Answer("words")
    found = _names(wanted) if wanted.value is None else _values(wanted, known)
    words = {one.word: one for one in found if one.word.startswith(wanted.text)}
    return Answer("words", tuple(Candidate(f"{wanted.kept}{one.word}", one.help) for one in words.values()))


def _names(wanted: Wanted) -> Iterable[Candidate]:
    """Options where one has been begun, else verbs; options as well where nothing else may stand."""
    command, text = wanted.command, wanted.text
    if command.commands and not text.startswith("-"):
        return [Candidate(verb, inner.help) for verb, inner in command.commands.items()]
    free = [option for option in command.options if option.repeats or wanted.used.isdisjoint(option.names)]
    least = 2 if text.startswith("--") or not text else 1  # dashes
    return [Candidate(name, option.help) for option in free for name in option.names if name[:least] == "-" * least]


def _values(wanted: Wanted, known: KnownNames) -> Iterable[Candidate]:
    assert wanted.value is not None
    if wanted.value.kind in _LISTS:
        return _list(wanted.text, wanted.value.words)
    words = [Candidate(word) for word in wanted.value.words]
    of_kind = _KINDS.get(wanted.value.kind)
    return words if of_kind is None else [*words, *of_kind(wanted, known)]


def _list(text: str, words: Iterable[str]) -> Iterable[Candidate]:
    """The last element of a list such as `failed,tim`, in capitals if it is typed so; `-` may stand before it."""
    before, comma, element = text.rpartition(",")
    kept = f"{before}{comma}{'-' if element.startswith('-') else ''}"
    if not all(one.lstrip("-").isidentifier() for one in before.split(",") if before):
        return []
    there = before.lower().split(",")
    return [Candidate(f"{kept}{word.upper() if element.isupper() else word}") for word in words if word not in there]


def _groups(wanted: Wanted, known: KnownNames) -> Iterable[Candidate]:
    source, colon, _ = wanted.text.rpartition(":")
    return [Candidate(f"{source}{colon}{name}", "group") for name in known.groups(source)]


def _nodes(wanted: Wanted, known: KnownNames) -> Iterable[Candidate]:
    """The last element of a node set, such as `@gp` in `node1,@gp`."""
    if _NODE_SET.fullmatch(wanted.text) is None or wanted.text.rfind("[") > wanted.text.rfind("]"):
        return []
    at = max(wanted.text.rfind(operator) for operator in ",!&^") + 1
    before, element = wanted.text[:at], wanted.text[at:]
    found: list[Candidate] = []
    if not element.startswith("@"):
        found += [Candidate(node) for node in known.nodes(element)]
    if element[:1] in {"", "@"}:
        groups = _groups(wanted._replace(text=element[1:]), known)
        found += [Candidate(f"@{group.word}", group.help) for group in groups]
    there = {*before.split(","), *wanted.used}
    return [Candidate(f"{before}{one.word}", one.help) for one in found if one.word not in there]


def _jobs(wanted: Wanted, known: KnownNames) -> Iterable[Candidate]:
    """Active jobs and the newest others by number, all by name; where digits are typed, all numbers."""
    jobs = known.jobs()
    active = [job for job in jobs if job.state in _ACTIVE]
    over = [job for job in jobs if job.state not in _ACTIVE]
    listed = [*active, *(over if wanted.text else over[:_MOST_LISTED])]
    numbers = [Candidate(str(job.number), " ".join(filter(None, (job.state, job.name)))) for job in listed]
    names = [Candidate(job.name, f"job {job.number}, {job.state}") for job in listed if job.name]
    last = [Candidate("last", "the newest job")] if jobs else []
    return [one for one in (*numbers, *names, *last) if one.word not in wanted.used]


def _playbooks(wanted: Wanted, known: KnownNames) -> Iterable[Candidate]:
    """Playbooks; with an option for runs, their numbers."""
    option = next((one for one in _OF_RUNS if one in wanted.options), None)
    if option is None:
        return [Candidate(name, "playbook") for name in known.playbooks()]
    runs = known.runs(option)
    numbers = [Candidate(str(run.number), " ".join(filter(None, (run.state, run.playbook)))) for run in runs]
    return [*numbers, Candidate("last", "the newest run")] if runs and option == "--show" else numbers


_KINDS: Mapping[str, Callable[[Wanted, KnownNames], Iterable[Candidate]]] = {
    "GROUP": _groups,
    "JOB": _jobs,
    "LABEL": lambda _, known: [Candidate(name, "label") for name, _ in known.labels()],
    "LABEL=VALUE": lambda _, known: [Candidate(f"{name}={value}", "label") for name, value in known.labels()],
    "NODES": _nodes,
    "PLAYBOOK": _playbooks,
    "TAINT": lambda _, known: [Candidate(taint, "taint") for taint in known.taints()],
}
"""By the kind of value, which is the metavar of its declaration."""
