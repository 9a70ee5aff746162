"""Many agents at once: no node ever promises more than it has, and everyone gets an answer in time."""

import json
import random
import select
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.faults.soak import trials
from tests.node.agent_client import AgentClient
from tests.node.nodes import GPUS, Node, is_held

ANSWER_WITHIN_S = 100.0  # an admission takes a moment; so long would be one that was forgotten
ALL_WITHIN_S = 200.0

# Says in a log that everybody appends to, whole lines at a time, what it has and that it gives it back.
WORK = """
echo "+ ${CUDA_VISIBLE_DEVICES:-cpus}" >> %s
until [ "$(grep -c + %s)" -ge %d ]; do sleep 0.02; done
sleep 0.02
echo "- ${CUDA_VISIBLE_DEVICES:-cpus}" >> %s
"""


class Contestant:
    """One client that wants to run so many jobs, one after the other, and asks again when it is refused."""

    def __init__(self, client: AgentClient, jobs: int, log: Path, wants: dict[str, Any], met: int = 1) -> None:
        """`met`: so many have begun before the first one goes on."""
        self.client = client
        self.left = jobs
        self.text = WORK % (log, log, met, log)
        self.wants = wants
        self.asked_at = 0.0
        self.again_at: float | None = None
        self.waits: list[float] = []
        self.refusals: Counter[str] = Counter()

    def ask(self) -> None:
        self.again_at = None
        self.asked_at = time.monotonic()
        self.client.ask_admission(**self.wants)

    def react(self, event: dict[str, Any], rng: random.Random) -> None:
        match event["ev"]:
            case "admitted":
                self.waits.append(time.monotonic() - self.asked_at)
                self.client.ask("follow", event["job"], window=1)
                self.client.ask("start", event["job"], spec={"argv": ["sh", "-c", self.text]})
            case "refused":
                self.waits.append(time.monotonic() - self.asked_at)
                self.refusals[event["kind"]] += 1
                self.again_at = time.monotonic() + rng.uniform(0.05, 0.3)
            case "ended":
                assert event["end"] == {"kind": "exited", "rc": 0}
                self.left -= 1
                if self.left:
                    self.ask()


def hold(contestants: list[Contestant], rng: random.Random, look: Callable[[], None] = lambda: None) -> None:
    """Until every job of every contestant has run; `look` is called after each answer."""
    for one in contestants:
        one.client.until("hello")
    for one in contestants:
        one.ask()
    by_pipe = {one.client.process.stdout: one for one in contestants}
    until = time.monotonic() + ALL_WITHIN_S
    while any(one.left for one in contestants):
        assert time.monotonic() < until
        for pipe in select.select([pipe for pipe, one in by_pipe.items() if one.left], [], [], 0.02)[0]:
            one = by_pipe[pipe]
            one.react(one.client.event(), rng)
            look()
            while one.client.lines:
                one.react(one.client.event(), rng)
        for one in contestants:
            if one.again_at is not None and time.monotonic() >= one.again_at:
                one.ask()


def contest(
    node: Node, agents: int, jobs: int, *, met: int = 1, look: Callable[[], None] = lambda: None, **wants: Any
) -> tuple[list[str], list[Contestant]]:
    """What the log says in the end, and how the contestants fared."""
    log = node.base / "log"
    with ExitStack() as stack:
        clients = [stack.enter_context(node.client()) for _ in range(agents)]
        contestants = [Contestant(client, jobs, log, wants, met) for client in clients]
        hold(contestants, random.Random(agents), look)
    lines = log.read_text().splitlines()
    assert len(lines) == 2 * agents * jobs
    assert max(wait for one in contestants for wait in one.waits) < ANSWER_WITHIN_S
    assert node.leases() == []
    return lines, contestants


def most_at_once(lines: list[str]) -> int:
    held = most = 0
    for line in lines:
        held += 1 if line.startswith("+") else -1
        most = max(most, held)
    return most


def refused_by(contestants: list[Contestant]) -> set[str]:
    return {kind for one in contestants for kind in one.refusals}


def test_forty_agents_never_hold_more_cpus_than_there_are(node: Node) -> None:
    lines, contestants = contest(node, 40, 1, met=2, cpus=2)
    assert most_at_once(lines) == 2
    assert refused_by(contestants) <= {"cpus", "lock"}


def test_four_clients_never_take_one_job_more_than_their_limit(node: Node) -> None:
    """By the locks of the leases, looked at after each answer; the full measure is 1,000 submissions."""
    node.measures(cpus=64)
    node.limits_conf.write_text("Default MaxJobs=3\n")
    most = 0

    def look() -> None:
        nonlocal most
        most = max(most, sum(is_held(path) for path in node.leases()))

    lines, contestants = contest(node, 4, trials(4, 250), cpus=1, look=look)
    assert max(most_at_once(lines), most) <= 3
    assert refused_by(contestants) <= {"limits", "lock"}


def test_no_gpu_is_ever_held_twice(node: Node) -> None:
    lines, contestants = contest(node, 6, 5, gpu_count=1, gpu_candidates=GPUS[:4])
    for gpu in GPUS[:4]:
        assert most_at_once([line for line in lines if gpu in line]) <= 1
    assert {line.split()[1] for line in lines} <= set(GPUS[:4])
    assert refused_by(contestants) <= {"gpus", "lock"}


def test_thirty_that_ask_at_once_for_eight_gpus_get_eight(node: Node) -> None:
    granted: list[str] = []
    refused: Counter[str] = Counter()
    with ExitStack() as stack:
        clients = [stack.enter_context(node.client()) for _ in range(6)]
        for client in clients:
            client.until("hello")
        for client in clients:
            for _ in range(5):
                client.ask_admission(gpu_count=1, gpu_candidates=GPUS)
        for client in clients:
            for _ in range(5):
                parsed = client.answer()
                granted += parsed.get("gpus", [])
                refused.update([parsed["kind"]] if parsed["ev"] == "refused" else [])
        held = [gpu for path in node.leases() for gpu in json.loads(path.read_text())["gpus"]]
        assert sorted(held) == sorted(granted)
    assert sorted(granted) == GPUS
    assert refused == {"gpus": 22}


def test_exclusive_and_shared_leases_never_meet(node: Node) -> None:
    log = node.base / "log"
    with ExitStack() as stack:
        wants: list[dict[str, Any]] = [{"exclusive": True}, {"cpus": 1}, {"cpus": 1}, {"cpus": 1}]
        contestants = [Contestant(stack.enter_context(node.client()), 1, log, each) for each in wants * 3]
        for one in contestants:
            one.text = one.text.replace("cpus", "alone" if "exclusive" in one.wants else "shared")
        hold(contestants, random.Random(12))
    held: Counter[str] = Counter()
    for line in log.read_text().splitlines():
        sign, what = line.split()
        held[what] += 1 if sign == "+" else -1
        assert held["alone"] <= 1
        assert not (held["alone"] and held["shared"])
