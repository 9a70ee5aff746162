"""The command line of the benchmarks."""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from . import (
    agent,
    copying,
    fetching,
    few_nodes,
    gpu_states,
    placing,
    playing,
    rebalancing,
    running,
    startup,
    sweeping,
    tasks,
)
from .figure import Aggregate, table
from .machine import machine
from .site import Site, WrongRunError

BENCHMARKS: dict[str, Callable[[Site], Iterator[Aggregate]]] = {
    "version": startup.version,
    "completion": startup.completion,
    "help": startup.helps,
    "run": running.run,
    "sweep": sweeping.sweep,
    "shared": sweeping.shared,
    "sick": sweeping.sick,
    "throttled": sweeping.throttled,
    "output": running.output,
    "tasks": tasks.tasks,
    "agent": agent.agent,
    "copy": copying.copy,
    "fetch": fetching.fetch,
    "play": playing.play,
    "play-check": playing.play_check,
    "place": placing.place,
    "policies": placing.policies,
    "names": placing.names,
    "stale": placing.stale,
    "few": few_nodes.few,
    "gpus": gpu_states.gpu_states,
    "rebalance": rebalancing.rebalance,
}


def main() -> int:
    """0 when every figure is within its limit, 1 when one is not, 2 when one could not be taken."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Figures against clush, in pairs.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all of them without")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="interleaved pairs of each (11)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    asked = parser.parse_args()
    unknown = sorted(set(asked.names) - set(BENCHMARKS))
    if unknown or asked.pairs < 1:
        parser.error(f"no benchmark `{unknown[0]}`" if unknown else "--pairs is 1 or more")
    about = machine()
    # Short, for control sockets live in it, and their paths have 108 bytes.
    with tempfile.TemporaryDirectory(prefix="clb-bench-", dir="/tmp") as folder:
        site = Site(folder=Path(folder), pairs=asked.pairs)
        figures, failed = _take(asked.names or list(BENCHMARKS), site)
    _tell(about, figures)
    if asked.json is not None:
        parsed = {"schema": 1, "machine": about, "pairs": asked.pairs, "figures": [f.document() for f in figures]}
        asked.json.write_text(json.dumps(parsed, indent=1) + "\n")
    if failed:
        return 2
    return 0 if all(figure.holds for figure in figures) else 1


def _take(names: list[str], site: Site) -> tuple[list[Aggregate], bool]:
    """All figures that could be taken, and whether one could not."""
    figures, failed = [], False
    for name in names:
        sys.stderr.write(f"{name} ...\n")
        try:
            figures += BENCHMARKS[name](site)
        except WrongRunError as wrong:
            sys.stderr.write(f"{name}: {wrong}\n")
            failed = True
    return figures, failed


def _tell(about: dict[str, str], figures: list[Aggregate]) -> None:
    sys.stdout.write("".join(f"{key}: {value}\n" for key, value in about.items()))
    sys.stdout.write(f"\n{table(figures)}")


if __name__ == "__main__":
    sys.exit(main())
