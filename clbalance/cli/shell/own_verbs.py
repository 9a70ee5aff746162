"""Carry out one of our verbs in this process, on the current set where the verb is about nodes."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer

from clbalance.cli.app import app_for, carry_out
from clbalance.errors import UsageError
from clbalance.policy.shell.line import RunVerb

_OF_THE_SET = frozenset({"load", "pick", "run", "drain", "resume", "history", "metrics", "copy", "fetch"})
_NAMING_NODES = ("nodes", "groups", "everything")


def run_verb(asked: RunVerb, current: str | None) -> int:
    """The exit code. `current`: the current set, folded, if verbs are to be limited to it."""
    if asked.words[0] == "shell":
        raise UsageError("this is a shell already", hint="`exit` leaves it")
    words = list(asked.words)
    if current is not None and words[0] in _OF_THE_SET and not _names_nodes(words):
        words[1:1] = ["-w", current]
    if not asked.taken_by:
        return carry_out(words)
    with _output_taken_by(asked.taken_by):
        return carry_out(words)


def _names_nodes(words: Sequence[str]) -> bool:
    """Whether the verb's words say which nodes are meant."""
    command: Any = typer.main.get_command(app_for(words))
    verb = command.commands[words[0]]
    context = verb.make_context(words[0], list(words[1:]), resilient_parsing=True)
    are_nodes = any(one.name == "words" and one.metavar == "[NODES]..." for one in verb.params)
    return any(context.params.get(name) for name in _NAMING_NODES) or (are_nodes and bool(context.params.get("words")))


@contextlib.contextmanager
def _output_taken_by(text: str) -> Iterator[None]:
    """Send standard output to what stands behind the verb, such as `| grep up` or `> file`; a shell reads that."""
    sys.stdout.flush()
    before = os.dup(1)
    taker = subprocess.Popen(["/bin/sh", "-c", f"cat {text}"], stdin=subprocess.PIPE)
    assert taker.stdin is not None
    os.dup2(taker.stdin.fileno(), 1)
    taker.stdin.close()
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
        taker.wait()
