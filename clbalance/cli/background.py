"""A process of our own in the background, for a job that somebody must keep in hand when its user has gone."""

import os
import signal
import sys
from collections.abc import Callable

from clbalance.errors import ClbalanceError

_NUMBER_WITHIN_BYTES = 4096


def keep(work: Callable[[Callable[[int], None]], None]) -> int:
    """Fork a process that does `work`; the number that it announces, or `ClbalanceError` with what it says instead.

    It is forked before anything is opened, and leaves our terminal, our session and our outputs.
    """
    reader, writer = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork() == 0:
        code = 1
        try:
            os.close(reader)
            _leave()
            work(lambda number: _announce(writer, f"+{number}"))
            code = 0
        except ClbalanceError as error:
            _announce(writer, f"-{error.message}")
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as told:  # noqa: PTH123 - a descriptor
        answer = told.read(_NUMBER_WITHIN_BYTES)
    if not answer.startswith("+"):
        raise ClbalanceError(answer[1:] or "the process that was to keep the job ended without a word")
    return int(answer[1:])


def _leave() -> None:
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)


def _announce(writer: int, text: str) -> None:
    """Once: who reads it waits for the end of the pipe."""
    os.write(writer, text.encode("utf-8", "backslashreplace")[:_NUMBER_WITHIN_BYTES])
    os.close(writer)
