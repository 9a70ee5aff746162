"""Calls Slurm's programs on this host, each with a deadline: a controller that is down lets them wait for minutes."""

import os
import shlex
from collections.abc import Collection, Mapping, Sequence

from clbalance.errors import EngineError
from clbalance.transport.programs.upcall import UpcallLimitError, UpcallResult, run_upcall

_NOT_FOUND = 127  # of the shell
_MOST_COMPLAINT = 300
_KEPT = frozenset({"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "TZ", "USER"})
_KEPT_FAMILIES = ("LC_", "SBATCH_", "SLURM_")
"""What a job gets of our environment; the rest would change with each shell that submits it."""


class SlurmPrograms:
    """`within_s`: the deadline. A submission has twice as long: when it is killed, its effect is unknown."""

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s

    def ask(self, *argv: str) -> str:
        """What a program prints. `EngineError` if it fails, or does not answer in time."""
        said = self.call(*argv)
        if said.rc != 0:
            raise EngineError(f"Slurm does not answer: {complaint(argv[0], said)}", hint=_hint(said))
        return said.stdout

    def call(self, *argv: str) -> UpcallResult:
        """How a program ended. `EngineError` if it has not, in time."""
        return _run(argv, self._within_s)

    def submit(self, *argv: str, keep_open: Collection[int]) -> UpcallResult:
        """The same for a program that submits: its environment is that of the job. It inherits `keep_open`."""
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or name.startswith(_KEPT_FAMILIES)}
        return _run(argv, 2 * self._within_s, keep_open=keep_open, env=kept)


def _run(
    argv: Sequence[str], within_s: float, *, keep_open: Collection[int] = (), env: Mapping[str, str] | None = None
) -> UpcallResult:
    try:
        return run_upcall(shlex.join(argv), "/", within_s, keep_open=keep_open, env=env)
    except (OSError, ValueError, UpcallLimitError) as error:
        raise EngineError(f"Slurm does not answer: `{argv[0]}` {error}", hint=_CONTROLLER) from error


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
