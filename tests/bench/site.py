"""Where benchmarks run: a lab of their own, an environment without the caller's configuration, and a stopwatch.

Both programs run as pip leaves them, byte-compiled: the cache is a folder of the site's own, warm after the first pair.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec

from .figure import Run

_BIN = Path(sys.executable).parent
CLBALANCE = str(_BIN / "clbalance")
CLUSH = str(_BIN / "clush")
_TIMEOUT_S = 120.0


class WrongRunError(Exception):
    """A measured program did not do what it was to do; its time means nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Scratch space and how often to measure."""

    folder: Path
    pairs: int

    def lab(
        self, name: str, nodes: int, *, max_startups: str = "100:30:200", gpus: int = 2
    ) -> AbstractContextManager[Lab]:
        """A lab that ends with its block, or with this process."""
        return Lab.up(self.folder / name, LabSpec(nodes=nodes, tied=True, max_startups=max_startups, gpus=gpus))

    def environment(self, lab: Lab | None = None) -> dict[str, str]:
        """What measured programs see."""
        env = {
            "PATH": f"{_BIN}:{os.defpath}",
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "CLBALANCE_CONTROL_PERSIST": "off",  # as for root, whoever measures
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
        }
        return env if lab is None else {**env, **lab.environment(env)}

    def interleaved(
        self,
        ours: Sequence[str],
        theirs: Sequence[str],
        env: Mapping[str, str],
        *,
        pairs: int | None = None,
        warm_up: bool = True,
        timeout_s: float = _TIMEOUT_S,
        before: Callable[[], None] = lambda: None,
    ) -> tuple[list[Run], list[Run]]:
        """Runs of both in turn, after one of each that does not count. `before` prepares each run."""

        def one(argv: Sequence[str]) -> Run:
            before()
            return timed(argv, env, timeout_s=timeout_s)

        def pair() -> tuple[Run, Run]:
            return one(ours), one(theirs)

        if warm_up:
            pair()
        measured = [pair() for _ in range(pairs or self.pairs)]
        return [pair[0] for pair in measured], [pair[1] for pair in measured]


def timed(
    argv: Sequence[str], env: Mapping[str, str], *, codes: Sequence[int] = (0,), timeout_s: float = _TIMEOUT_S
) -> Run:
    """One run to its end, output thrown away; one that exits with none of `codes` is a `WrongRunError`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        argv,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        timeout=timeout_s,
        check=False,
    )
    wall_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes:
        raise WrongRunError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.decode()[-500:]}")
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(wall_s=wall_s, cpu_s=cpu_s)


def answers(argv: Sequence[str], env: Mapping[str, str]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds, and the nodes, of a `load --json`."""
    began = time.perf_counter()
    done = subprocess.run(
        [*argv, "--json"], env=dict(env), stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
    )
    seconds = time.perf_counter() - began
    try:
        return seconds, json.loads(done.stdout)["nodes"]
    except (ValueError, KeyError) as error:
        raise WrongRunError(f"{' '.join(argv)}: exit code {done.returncode}: {done.stderr.decode()[-500:]}") from error
