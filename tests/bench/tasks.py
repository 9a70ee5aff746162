"""Many tasks: two thousand times `true`, and sleeps of random lengths against the least time that they can take."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from clbalance.lab.spec import LabSpec

from .programs import BOUND
from .question import Peer, Question
from .site import Place

_SLOTS = 4  # of a node of the lab, by its cpus
_TRUE, _TRUE_NODES = 2000, 16
_SLURM_NODES = 8
_SLEEPS, _SLEEP_NODES, _MEAN_S = 320, 8, 0.4


def sleeps() -> list[float]:
    """Exponential, the same each time, in the order in which they were drawn."""
    rng = random.Random(1)
    return [round(rng.expovariate(1 / _MEAN_S), 3) for _ in range(_SLEEPS)]


def least_s(seconds: list[float], slots: int) -> float:
    """No order is quicker: neither than an even share for each slot, nor than the longest."""
    return max(sum(seconds) / slots, *seconds)


def from_first_to_last_s(printed: bytes) -> float:
    """From the start of the first task to the end of the last one, of a `run --json`."""
    tasks = json.loads(printed)["jobs"][0]["tasks"]
    times = [(datetime.fromisoformat(task["started_at"]).timestamp(), float(task["seconds"])) for task in tasks]
    return max(start + seconds for start, seconds in times) - min(start for start, _ in times)


def _list(commands: list[str]) -> Callable[[Place], AbstractContextManager[None]]:
    @contextmanager
    def lists(place: Place) -> Iterator[None]:
        """The commands, a line each, and the nodes with their slots as GNU parallel reads them."""
        (place.folder / "commands").write_text("".join(f"{command}\n" for command in commands))
        logins = "".join(f"{_SLOTS}/{node.name}\n" for node in place.cluster.nodes)
        (place.folder / "logins").write_text(logins)
        yield

    return lists


def forget(place: Place) -> None:
    """Remove what clbalance remembers: the second time, it would know how long each task takes."""
    shutil.rmtree(place.folder / "state", ignore_errors=True)


_PARALLEL = (
    "parallel --will-cite --ssh ssh --sshloginfile {folder}/logins --joblog {folder}/joblog -a {folder}/commands"
)


def _hyperqueue(nodes: int) -> str:
    """Its workers are processes of this machine, which it starts itself: no node is logged in to."""
    return f"{{python}} {{peers}}/with_hyperqueue.py {{folder}}/hq {nodes} {_SLOTS} {{folder}}/commands"


def _sleeping(name: str, asks: str, seconds: list[float], limit: float | None, *, started: bool = False) -> Question:
    bound = Peer(BOUND, seconds=least_s(seconds, _SLEEP_NODES * _SLOTS), limit=limit)
    others = (Peer("HyperQueue", _hyperqueue(_SLEEP_NODES)), Peer("GNU parallel", _PARALLEL, rounds=3))
    return Question(
        name,
        asks,
        "clbalance run -q -a --tasks {folder}/commands" + (" --json" if started else ""),
        (bound,) if started else (bound, *others),
        lab=LabSpec(nodes=_SLEEP_NODES, gpus=0, tied=True),
        around=_list([f"sleep {one}" for one in seconds]),
        before=forget if seconds is _DRAWN else None,
        seconds=from_first_to_last_s if started else None,
    )


_DRAWN, _LONGEST_FIRST = sleeps(), sorted(sleeps(), reverse=True)

QUESTIONS = (
    Question(
        "tasks",
        f"{_TRUE:,} times `true` on {_TRUE_NODES} nodes of {_SLOTS} slots, every start written down",
        f"clbalance run -q -a --array 0-{_TRUE - 1} -- true",
        (
            Peer("HyperQueue", _hyperqueue(_TRUE_NODES), limit=1.0),
            Peer("GNU parallel", _PARALLEL, limit=1 / 50, rounds=1),
        ),
        lab=LabSpec(nodes=_TRUE_NODES, gpus=0, tied=True),
        around=_list(["true"] * _TRUE),
        amount=(_TRUE, "tasks"),
    ),
    Question(
        "tasks-slurm",
        f"the same on {_SLURM_NODES} nodes",
        f"clbalance run -q -g batch --array 0-{_TRUE - 1} -- true",
        (
            Peer(
                "Slurm",
                f"sbatch --wait --array=0-{_TRUE - 1} --output=/dev/null --wrap=true",
                limit=1 / 30,
                rounds=1,
            ),
        ),
        lab=LabSpec(nodes=2 * _SLURM_NODES, gpus=0, tied=True, slurm=True),
        amount=(_TRUE, "tasks"),
    ),
    _sleeping("sleeps", f"{_SLEEPS} exponential tasks of {_MEAN_S} s on 32 slots", _DRAWN, 1.3),
    _sleeping("sleeps-known", "the same, the longest first", _LONGEST_FIRST, 1.25),
    _sleeping("sleeps-started", "the same from the first start to the last end", _LONGEST_FIRST, 1.05, started=True),
)
