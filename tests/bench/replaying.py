"""`replay` of public logs, against a plain event simulator. The logs are not in this repository."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .programs import SIMULATOR
from .question import Around, Peer, Question
from .site import Place, WrongRunError

_FOLDER = "CLBALANCE_BENCH_LOGS"
_SOURCE = "github.com/jad-darrous/predictsim"
LOGS = {
    "kth": "experiments/data/KTH-SP2/swf_unfiltered/log.swf",
    "atlas": "simulation/pyss/src/jad/logs/new/LLNL-Atlas-2006-2.1-cln.swf",
    "curie": "experiments/data/CEA-curie_sample/swf_unfiltered/log.swf",
}
"""The paths in that repository."""


def log_file(name: str) -> Path:
    """The file of one of `LOGS`."""
    folder = os.environ.get(_FOLDER)
    if not folder:
        raise WrongRunError(f"no logs: {_FOLDER} names no folder with {name}.swf, from {_SOURCE}, {LOGS[name]}")
    log = Path(folder) / f"{name}.swf"
    if not log.is_file():
        raise WrongRunError(f"no {name}.swf in {_FOLDER}; it is {LOGS[name]} of {_SOURCE}")
    return log


def _log(name: str) -> Around:
    @contextmanager
    def around(place: Place) -> Iterator[None]:
        (place.folder / "log.swf").symlink_to(log_file(name).resolve())
        yield

    return around


QUESTIONS = tuple(
    Question(
        f"replay-{name}",
        f"the jobs of {name}.swf with EASY backfilling",
        "clbalance replay {folder}/log.swf --queue easy --json",
        (Peer(SIMULATOR, "python3 {peers}/plain_simulator.py {folder}/log.swf", limit=3.0, around=_log(name)),),
    )
    for name in LOGS
)
