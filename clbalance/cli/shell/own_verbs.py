"""Carry out one of our verbs in this process, on the current set where the verb is about nodes."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from clbalance.cli.app import carry_out, command_for
from clbalance.cli.shell.children import wait_for
from clbalance.errors import ExitCode, Interrupted, UsageError
from clbalance.policy.shell.line import RunVerb

_OF_THE_SET = frozenset({
    "load", "top", "pick", "run", "drain", "resume", "rebalance", "history", "metrics", "copy", "fetch",
    "doctor", "reap",
})  # fmt: skip
_NAMING_NODES = ("nodes", "groups", "everything")


def run_verb(asked: RunVerb, current: Callable[[], str | None]) -> int:
    """The exit code. `current`: the current set, folded, if verbs are to be limited to it."""
    if asked.words[0] == "shell":
        raise UsageError("this is a shell already", hint="`exit` leaves it")
    words = list(asked.words)
    if words[0] in _OF_THE_SET and not _names_nodes(words) and (nodes := current()) is not None:
        words[1:1] = ["-w", nodes]
    return _taken(asked.taken_by, words) if asked.taken_by else carry_out(words)


def _taken(taken_by: str, words: Sequence[str]) -> int:
    """The exit code of the verb; if that is 0, of what takes its output. That wants no more: no failure of the verb."""
    code: int = ExitCode.DONE
    with _output_taken_by(taken_by) as taker:
        try:
            code = carry_out(words)
        except Interrupted as stop:
            if stop.signum != signal.SIGPIPE:
                raise
    return code or (taker.returncode if taker.returncode >= 0 else 128 - taker.returncode)


def _names_nodes(words: Sequence[str]) -> bool:
    """Whether the verb's words say which nodes are meant."""
    verb = command_for(words).commands[words[0]]
    context = verb.make_context(words[0], list(words[1:]), resilient_parsing=True)
    are_nodes = any(one.name == "words" and one.metavar == "[NODES]..." for one in verb.params)
    return any(context.params.get(name) for name in _NAMING_NODES) or (are_nodes and bool(context.params.get("words")))


@contextlib.contextmanager
def _output_taken_by(text: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Send standard output to what stands behind the verb, such as `| grep up` or `> file`; a shell reads that."""
    stdout = sys.stdout
    stdout.flush()
    before = os.dup(1)
    taker = subprocess.Popen(["/bin/sh", "-c", f"cat {text}"], stdin=subprocess.PIPE)
    assert taker.stdin is not None
    os.dup2(taker.stdin.fileno(), 1)
    taker.stdin.close()
    try:
        yield taker
    finally:
        sys.stdout = stdout  # typer puts another in its place if nobody takes it, which tells no errors
        try:
            _flush_or_discard()
        finally:
            os.dup2(before, 1)
            os.close(before)
            wait_for(taker)


def _flush_or_discard() -> None:
    """What nobody takes any more must not come out on the terminal later."""
    handler = signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # else it is raised in the middle of this
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, 1)
        os.close(null)
        sys.stdout.flush()
    finally:
        signal.signal(signal.SIGPIPE, handler)
