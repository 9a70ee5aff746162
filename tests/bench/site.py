"""Where benchmarks run: a lab, an environment without the caller's configuration, and a stopwatch.

All programs run as pip leaves them, byte-compiled: the cache is a folder of the site's own, warm after the first round.
"""

import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import IO

from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import SYSTEM_PATH
from clbalance.lab.spec import LabSpec

from .figure import Run
from .processor import ProcessorTime
from .programs import PEERS, ROOT, Programs

_BIN = Path(sys.executable).parent
CLBALANCE = str(_BIN / "clbalance")
_SCRIPTS = Path(__file__).parent / "peers"
_TIMEOUT_S = 900.0
_TOLD = 500


class WrongRunError(Exception):
    """A measured program did not do what it was to do; its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Scratch space, how often to measure, the peers, and what counts processor time."""

    folder: Path
    rounds: int
    programs: Programs
    processor: ProcessorTime | None = None

    def lab(
        self, name: str, nodes: int, *, max_startups: str = "100:30:200", gpus: int = 2
    ) -> AbstractContextManager[Lab]:
        """A lab that ends with its block, or with this process."""
        return Lab.up(self.folder / name, LabSpec(nodes=nodes, tied=True, max_startups=max_startups, gpus=gpus))

    def environment(self, lab: Lab | None = None) -> dict[str, str]:
        """What measured programs see. `clbalance` is that of this tree, wherever the one in its environment came from."""
        env = {
            "PATH": f"{_BIN}:{SYSTEM_PATH}:{PEERS / 'bin'}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CLBALANCE_CONTROL_PERSIST": "off",  # as for root, whoever measures
            "PYTHONPATH": str(ROOT),
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
        }
        return env if lab is None else {**env, **lab.environment(env)}

    def told(self, text: str) -> str:
        """A message without the folders of this machine, so that it can be kept."""
        return text.replace(str(self.folder), "FOLDER").replace(str(ROOT), ".")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one question is asked: a folder of its own, and its lab if it has one."""

    site: Site
    folder: Path
    lab: Lab | None

    @property
    def cluster(self) -> Lab:
        """The lab of a question that has one."""
        assert self.lab is not None
        return self.lab

    def words(self, command: str) -> list[str]:
        """The command's words, as question.py says."""
        words: list[str] = []
        for word in shlex.split(command):
            words += self._names() if word == "{nodes}" else [self.filled(word)]
        return words

    def filled(self, word: str) -> str:
        """The word with what it stands for in all places."""
        values = {
            "{folder}": self.folder,
            "{lab}": self.lab.directory if self.lab else "",
            "{inventory}": "".join(f"{name}," for name in self._names()),
            "{python}": PEERS / "bin" / "python",
            "{peers}": _SCRIPTS,
        }
        return reduce(lambda text, name: text.replace(name, str(values[name])), values, word)

    def _names(self) -> list[str]:
        return [node.name for node in self.lab.nodes] if self.lab else []

    def environment(self, *more: Mapping[str, str]) -> dict[str, str]:
        """The site's, with a state of the question's own."""
        env = self.site.environment(self.lab) | {"CLBALANCE_STATE_DIR": str(self.folder / "state")}
        for one in more:
            env |= {name: self.filled(value) for name, value in one.items()}
        return env


def timed(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    processor: ProcessorTime | None = None,
    output: IO[bytes] | None = None,
) -> Run:
    """One run to its end, its output thrown away or written to `output`; one that fails is a `WrongRunError`.

    No pipes: what stays behind, such as a ControlMaster, would keep them open.
    """
    with tempfile.TemporaryFile() as errors:
        all_before = processor.spent_s() if processor else 0.0
        before, began = _waited_for_s(), time.perf_counter()
        try:
            done = subprocess.run(
                argv,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output or subprocess.DEVNULL,
                stderr=errors,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise WrongRunError(f"{argv[0]}: {error}") from error
        run = Run(
            wall_s=time.perf_counter() - began,
            cpu_s=_waited_for_s() - before,
            all_cpu_s=processor.spent_s() - all_before if processor else None,
        )
        if done.returncode:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()[-_TOLD:]
            raise WrongRunError(f"{' '.join(argv)[:_TOLD]}: exit code {done.returncode}: {said}")
    return run


def _waited_for_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
