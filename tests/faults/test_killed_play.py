"""`play` killed at random moments and at each point of a step, and continued: each step runs once, or is uncertain.

Few kills by default; CLBALANCE_SOAK=50 makes 50.
"""

import json
import random
import signal
import sys
from collections import Counter

import pytest

from tests.cli.command import Command
from tests.cli.play.test_play import home

from .soak import trials

pytestmark = pytest.mark.soak

_NODES = ("node1", "node2", "node3", "node4")
_STEPS = ("one", "two", "three", "four")
_POINTS = ("step_begun", "step_done", "step_ended")
_BY_POINT = 0.4  # of all kills; the others come at a random moment
_LIVES_S = 2.5
_FEW = 4
_BOOK = "name: lines\nwindow: 3\nmax_fail_percentage: 100\nsteps:\n" + "".join(
    f'  - name: {name}\n    run: echo {name} >> "$HOME/$VAR_log"; sleep 0.$(($$ % 3))\n' for name in _STEPS
)


def _begin(clbalance: Command, chance: random.Random, arguments: tuple[str, ...]) -> int:
    """Run `play`, and kill it at a point or after a time. Its exit code; -9 if it was killed."""
    if chance.random() < _BY_POINT:
        reached = chance.randrange(1, 8)
        return clbalance(*arguments, env={"CLBALANCE_FAIL_AT": f"{chance.choice(_POINTS)}:{reached}"}).rc
    process = clbalance.start(*arguments)
    try:
        process.wait(chance.uniform(0.1, _LIVES_S))
    except Exception:  # noqa: BLE001 - it lives: its time has come
        process.send_signal(signal.SIGKILL)
    return process.wait()


def test_each_step_runs_once_or_is_reported_uncertain_and_every_node_is_done(clbalance: Command) -> None:
    chance = random.Random(14)
    (clbalance.folder / "lines.yml").write_text(_BOOK + "vars: {log: none}\n")
    kills = runs = reports = 0
    while kills < trials(_FEW, 50):
        runs += 1
        begin = ("play", "lines.yml", "-w", "node[1-4]", "-q", "-e", f"log=log{runs}")
        uncertain: Counter[tuple[str, str]] = Counter()
        rc = _begin(clbalance, chance, begin)
        while rc == -signal.SIGKILL:
            kills += 1
            shown = clbalance("play", "--show", "--json")
            if (
                shown.rc != 0 or json.loads(shown.stdout)["variables"]["log"] != f"log{runs}"
            ):  # killed before it had a number
                rc = _begin(clbalance, chance, begin)
                continue
            for one in json.loads(shown.stdout)["nodes"]:
                if one["state"] == "uncertain":
                    uncertain[one["name"], one["step"]] += 1
            rc = _begin(clbalance, chance, ("play", "--continue", "--repeat-uncertain", "-q"))
        assert rc == 0, "every node is done"
        reports += uncertain.total()
        for node in _NODES:
            ran = Counter((home(clbalance, node) / f"log{runs}").read_text().split())
            for step in _STEPS:
                assert 1 <= ran[step] <= 1 + uncertain[node, step], (node, step, ran, uncertain)
    sys.stderr.write(f"{kills} kills of {runs} runs, {reports} steps were uncertain\n")
