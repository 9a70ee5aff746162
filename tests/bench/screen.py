"""`top`: what it costs to look at nodes all day, how soon the first frame is there, and what sick nodes do to its keys."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from clbalance.lab.cluster import Lab

from .figure import Figure, Spread, seconds_figure
from .programs import PEERS
from .question import Measurement
from .site import CLBALANCE, Site, WrongRunError, timed
from .sweeping import one_node_by_many_names
from .terminal import cpu_to_the_end, on_terminal

_NODES = 32
_ALL = f"node[1-{_NODES}]"
_NAMES = 200
_SECONDS = 60.0
_DRAWN = 100
_FROZEN, _DEAD = "node7", ("node12", "node31")
_KEYS = 200
_ROUNDS = 20


def cost(site: Site) -> Iterator[Figure]:
    """A minute of looking; the terminal is read at once."""
    with site.lab("top", _NODES) as lab:
        yield from _minute(f"{_NODES} nodes at 1 Hz", ["-w", _ALL, "--every", "1s"], site.environment(lab))
    with site.lab("names", 1, max_startups="500:30:1000") as lab:
        config = one_node_by_many_names(lab, site.folder / "names-config")
        env = site.environment(lab) | {"CLBALANCE_SSH_OPTIONS": f"-F {config}"}
        yield from _minute(f"{_NAMES} names at 0.2 Hz", ["-w", f"door[1-{_NAMES}]", "--every", "5s"], env)


def _minute(name: str, words: list[str], env: dict[str, str]) -> Iterator[Figure]:
    with on_terminal([CLBALANCE, "top", *words], env) as program:
        program.wait_for(b" up")
        time.sleep(5)  # the first round begins the sessions
        before = program.cpu_s()
        time.sleep(_SECONDS)
        after = program.cpu_s()
        memory = program.memory_bytes()
    yield Figure(name=f"top, {name}, {_SECONDS:.0f} s: own processor time", value=after[0] - before[0], unit="s")
    yield Figure(name=f"top, {name}, {_SECONDS:.0f} s: that of ssh", value=after[1] - before[1], unit="s")
    yield Figure(name=f"top, {name}: memory", value=memory / (1 << 20), unit="MiB")


def drawing(site: Site) -> Iterator[Figure]:
    """Processor time of one drawing, with all figures changed: of so many, less that of none."""
    python = PEERS / "bin" / "python"
    env = site.environment()
    ours = [sys.executable, "-m", "tests.bench.drawing"]
    theirs = [str(python), str(Path(__file__).parent / "peers" / "with_textual.py")]
    if subprocess.run([python, "-c", "import textual"], capture_output=True, check=False).returncode:
        raise WrongRunError("textual is not installed: `scripts/setup bench`")
    pairs = [(_one(ours, env), _one(theirs, env)) for _ in range(min(3, site.rounds))]
    yield seconds_figure(f"top: processor time of drawing {_NODES} changed rows", "textual", pairs, limit=0.25)


def _one(argv: list[str], env: dict[str, str]) -> float:
    many, none = (cpu_to_the_end([*argv, str(rounds), str(_NODES)], env) for rounds in (_DRAWN, 0))
    return (many - none) / _DRAWN


def first_frame(site: Site) -> Iterator[Figure]:
    """Until all nodes are on the screen; each connection is made anew."""
    with site.lab("first", _NODES) as lab:
        env = site.environment(lab)
        clush = [str(Path(CLBALANCE).parent / "clush"), "-b", "-w", _ALL, "cat", "/proc/loadavg"]
        pairs = []
        for _ in range(site.rounds):
            with on_terminal([CLBALANCE, "top", "-w", _ALL], env) as program:
                seconds = program.wait_for(f"{_NODES} up".encode())
            pairs.append((seconds, timed(clush, env).wall_s))
    yield seconds_figure(f"top: first full frame of {_NODES} nodes", "clush", pairs, limit=1.2)


def sick(site: Site) -> Iterator[Figure]:
    """Rounds and keys while one node freezes and two die."""
    with site.lab("top-sick", _NODES) as lab:
        env = site.environment(lab) | {"CLBALANCE_STATE_DIR": str(site.folder / "state-sick")}
        with on_terminal([CLBALANCE, "top", "-w", _ALL, "--every", "1s"], env) as program:
            program.wait_for(f"{_NODES} up".encode())
            _make_sick(lab)
            keys = []
            for number in range(_KEYS):
                keys.append(program.type(b"jk"[number % 2 :][:1]))
                time.sleep(0.05)
        for name in (_FROZEN, *_DEAD):
            lab.node(name).boot()
        rounds = _rounds(lab, env)
    at_95 = statistics.quantiles(keys, n=20)[-1] * 1000
    yield Figure(name="top, 1 frozen and 2 dead of 32: key to repaint, p95", value=at_95, unit="ms", limit=50)
    yield Figure(
        name="top, 1 frozen and 2 dead of 32: the longest round",
        value=max(rounds),
        unit="s",
        limit=1.2,
        ours_s=Spread.of(rounds),
    )


def _rounds(lab: Lab, env: dict[str, str]) -> list[float]:
    """From one value to the next, at 1 Hz, from the moment at which the nodes are sick."""
    argv = [CLBALANCE, "top", "-w", _ALL, "--every", "1s", "--json"]
    child = subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    try:
        came = []
        for number in range(_ROUNDS):
            json.loads(child.stdout.readline())
            if number == 2:
                _make_sick(lab)
            if number >= 2:
                came.append(time.perf_counter())
        return [after - before for before, after in pairwise(came)]
    finally:
        child.terminate()
        child.wait()


def _make_sick(lab: Lab) -> None:
    lab.node(_FROZEN).hang()
    for name in _DEAD:
        lab.node(name).kill()


MEASUREMENTS = (
    Measurement("top-cost", "a minute of `top`: 32 nodes at 1 Hz, 200 names at 0.2 Hz", cost),
    Measurement("top-drawing", "processor time of one drawing, against textual's DataTable", drawing),
    Measurement("top-first", "first full frame of 32 nodes, against a cold sweep of clush", first_frame),
    Measurement("top-sick", "rounds and keys while 1 node freezes and 2 die", sick),
)
