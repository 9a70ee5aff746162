"""The controller of many tasks is killed at random points, again and again: each task runs exactly once.

Two kills by default; CLBALANCE_SOAK=50 tries 8 of them with each of 5 seeds.
"""

import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.waiting import eventually

from .soak import trials

pytestmark = pytest.mark.soak

TASKS = 300
TEXT = 'echo "$CLBALANCE_TASK_ID" >> diary; sleep 0.0$((CLBALANCE_TASK_ID % 7))'
LASTS_S = 3.0  # so long after its start a controller is killed at the latest


@pytest.fixture
def children() -> Iterator[ExitStack]:
    """Ends what a test has started."""
    with ExitStack() as stack:
        yield stack


def started(children: ExitStack, env: dict[str, str], folder: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        [sys.executable, "-m", "clbalance", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env, cwd=folder,
    )  # fmt: skip
    children.callback(child.wait)
    children.callback(child.kill)
    return child


def called(env: dict[str, str], folder: Path, *arguments: str) -> int:
    return subprocess.run(
        [sys.executable, "-m", "clbalance", *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, env=env, cwd=folder, timeout=120, check=False,
    ).returncode  # fmt: skip


@pytest.mark.parametrize("seed", range(trials(few=1, full=5)))
def test_each_task_runs_exactly_once(children: ExitStack, lab_env: dict[str, str], tmp_path: Path, seed: int) -> None:
    chance, diary = random.Random(seed), tmp_path / "diary"
    child = started(children, lab_env, tmp_path, "run", "-q", "-w", "node[1-4]", "--array", f"1-{TASKS}", "-c", TEXT)
    eventually(diary.exists)
    for _ in range(trials(few=2, full=8)):
        try:
            child.wait(chance.uniform(0.3, LASTS_S))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.wait()
        called(lab_env, tmp_path, "wait", "1")
        child = started(children, lab_env, tmp_path, "run", "-q", "--resume", "1")
    child.wait()
    called(lab_env, tmp_path, "wait", "1")
    assert called(lab_env, tmp_path, "run", "-q", "--resume", "1") == 0
    ran = sorted(map(int, diary.read_text().split()))
    assert ran == list(range(1, TASKS + 1))
    assert called(lab_env, tmp_path, "run", "--resume", "1") == 0
