"""Calls Slurm's programs on this host, each with a deadline: a controller that is down lets them wait for minutes."""

import shlex
from collections.abc import Collection, Mapping, Sequence

from clbalance.errors import EngineError
from clbalance.transport.programs.upcall import UpcallLimitError, UpcallResult, run_upcall

_NOT_FOUND = 127  # of the shell
_MOST_COMPLAINT = 300
_KEPT = frozenset(
    {"HOME", "LANG", "LOGNAME", "PATH", "SHELL", "SLURM_CLUSTERS", "SLURM_CONF", "SLURM_JWT", "TZ", "USER"}
)
_KEPT_FAMILIES = ("LC_", "SBATCH_")
"""What a submission gets of our environment. The rest would change with each shell that submits, and where we run in a
job ourselves, its `SLURM_…` would say to `srun` what that job has.
"""
_NOT_KEPT = frozenset({"SBATCH_ARRAY_INX", "SBATCH_WAIT"})
"""A job is one, and followed by us."""
_OF_USERS = ("SACCT_", "SCANCEL_", "SINFO_", "SLURM_TIME_FORMAT", "SQUEUE_")
"""What a user has chosen for calls of his own would hide jobs from ours: `SQUEUE_PARTITION`, say."""


class SlurmPrograms:
    """`within_s`: the deadline. A submission has twice as long: when it is killed, its effect is unknown.

    `environ`: ours.
    """

    def __init__(self, within_s: float, environ: Mapping[str, str]) -> None:
        self._within_s = within_s
        self._environ = environ

    def ask(self, *argv: str) -> str:
        """What a program prints. `EngineError` if it fails, or does not answer in time."""
        said = self.call(*argv)
        if said.rc != 0:
            raise EngineError(f"Slurm does not answer: {complaint(argv[0], said)}", hint=_hint(said))
        return said.stdout

    def call(self, *argv: str) -> UpcallResult:
        """How a program ended. `EngineError` if it has not, in time."""
        env = {name: value for name, value in self._environ.items() if not name.startswith(_OF_USERS)}
        return _run(argv, self._within_s, env=env)

    def submit(self, *argv: str, keep_open: Collection[int]) -> UpcallResult:
        """The same for a program that submits: its environment is that of the job. It inherits `keep_open`."""
        env = {
            name: value
            for name, value in self._environ.items()
            if (name in _KEPT or name.startswith(_KEPT_FAMILIES)) and name not in _NOT_KEPT
        }
        return _run(argv, 2 * self._within_s, keep_open=keep_open, env=env)


def _run(
    argv: Sequence[str], within_s: float, *, env: Mapping[str, str], keep_open: Collection[int] = ()
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
