"""Calls Slurm's programs on this host, each with a deadline: a controller that is down lets them wait for minutes."""

import shlex
from collections.abc import Collection, Sequence

from clbalance.errors import EngineError
from clbalance.transport.programs.upcall import UpcallLimitError, UpcallResult, run_upcall

_WITHIN_S = 10.0
_SUBMIT_WITHIN_S = 30.0
_NOT_FOUND = 127  # of the shell
_MOST_COMPLAINT = 300


def asked(argv: Sequence[str], within_s: float = _WITHIN_S) -> str:
    """What a program prints. `EngineError` if it fails, or does not answer in time."""
    said = called(argv, within_s)
    if said.rc != 0:
        raise EngineError(f"Slurm does not answer: {complaint(argv[0], said)}", hint=_hint(said))
    return said.stdout


def called(argv: Sequence[str], within_s: float = _WITHIN_S, *, keep_open: Collection[int] = ()) -> UpcallResult:
    """How a program ended. `EngineError` if it has not, in time."""
    try:
        return run_upcall(shlex.join(argv), "/", within_s, keep_open=keep_open)
    except (OSError, ValueError, UpcallLimitError) as error:
        raise EngineError(f"Slurm does not answer: `{argv[0]}` {error}", hint=_CONTROLLER) from error


def submitted(argv: Sequence[str], keep_open: Collection[int]) -> UpcallResult:
    """As `called`, for a program that may wait longer, since what it has begun is not known when it is killed."""
    return called(argv, _SUBMIT_WITHIN_S, keep_open=keep_open)


def complaint(program: str, said: UpcallResult) -> str:
    """Why a program failed, in its own words."""
    if said.rc == _NOT_FOUND:
        return f"there is no `{program}` on this host"
    lines = [line.removeprefix(f"{program}: error: ").strip() for line in said.stderr.splitlines()]
    words = "; ".join(dict.fromkeys(filter(None, lines)))
    return words[:_MOST_COMPLAINT] or f"`{program}` ends with code {said.rc}"


_CONTROLLER = "`scontrol ping` and `munge -n` tell whether its controller and munge answer"


def _hint(said: UpcallResult) -> str:
    return "Slurm's programs must be on the PATH of this host" if said.rc == _NOT_FOUND else _CONTROLLER
