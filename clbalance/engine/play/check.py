"""Check mode: what the steps of a playbook would do on each node. Nothing is changed, and nothing is recorded."""

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from clbalance.engine.play.step_runner import StepFacts, StepRunner
from clbalance.engine.play.workers import Workers
from clbalance.model import NodeName
from clbalance.model.play_run import StepEnded, StepList, StepState
from clbalance.model.playbook import Step

Checked: TypeAlias = tuple[tuple[Step, StepEnded], ...]
_LOOK_AGAIN_S = 60.0


def check(
    workers: Workers, runner: StepRunner, facts: StepFacts, *, most_at_once: int
) -> Iterator[tuple[NodeName, Checked]]:
    """Each node in the order of turns, with its steps, as soon as it and those before it are known."""
    checked: dict[NodeName, Checked] = {}
    waiting, unshown = deque(facts.nodes), deque(facts.nodes)
    running = 0
    while unshown:
        while waiting and running < most_at_once:
            node = waiting.popleft()
            workers.begin(node, "check", partial(_check_node, runner, node, facts, checked))
            running += 1
        running -= workers.next(_LOOK_AGAIN_S) is not None
        while unshown and unshown[0] in checked:
            node = unshown.popleft()
            yield node, checked[node]


def _check_node(
    runner: StepRunner, node: NodeName, facts: StepFacts, checked: dict[NodeName, Checked], stop: threading.Event
) -> StepEnded:
    """All steps of one node; in a thread of its own, which is the only one that writes this key."""
    found: list[tuple[Step, StepEnded]] = []
    for index, step in enumerate(facts.playbook.steps_of(StepList.STEPS)):
        found.append((step, runner.check(node, step, replace(facts, index=index), stop)))
    checked[node] = tuple(found)
    return StepEnded(state=StepState.OK)
