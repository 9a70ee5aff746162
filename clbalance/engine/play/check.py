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
from clbalance.model.play_run import Result, StepEnded, StepList, StepState
from clbalance.model.playbook import Step

Checked: TypeAlias = tuple[tuple[Step, StepEnded], ...]
_LOOK_AGAIN_S = 60.0


def check(
    workers: Workers, runner: StepRunner, facts: StepFacts, *, most_at_once: int
) -> Iterator[tuple[NodeName, Checked]]:
    """Each node in the order of turns, with its steps, as soon as it and those before it are known."""
    checked: dict[NodeName, Checked] = {}
    once: dict[str, Result] = {}
    waiting, unshown = deque(facts.nodes), deque(facts.nodes)
    running = 0
    while unshown:
        # Steps that are carried out once are so on the first node; the others need their results.
        most = most_at_once if facts.nodes[0] in checked else 1
        while waiting and running < most:
            node = waiting.popleft()
            workers.begin(node, "check", partial(_check_node, runner, node, facts, once, checked))
            running += 1
        running -= workers.next(_LOOK_AGAIN_S) is not None
        while unshown and unshown[0] in checked:
            node = unshown.popleft()
            yield node, checked[node]


def _check_node(
    runner: StepRunner,
    node: NodeName,
    facts: StepFacts,
    once: dict[str, Result],
    checked: dict[NodeName, Checked],
    stop: threading.Event,
) -> StepEnded:
    """All steps of one node; in a thread of its own, which is the only one that writes this key.

    `once`: the results of steps that are carried out once, by the first node.
    """
    found: list[tuple[Step, StepEnded]] = []
    is_first = node == facts.nodes[0]
    registered = dict(once)
    for index, step in enumerate(facts.playbook.steps_of(StepList.STEPS)):
        if step.runs_in_check and step.run_once and not is_first:
            found.append((step, StepEnded(state=StepState.OK, reason=f"carried out once, on {facts.nodes[0]}")))
            continue
        ended = runner.check(node, step, replace(facts, index=index, registered=registered), stop)
        found.append((step, ended))
        if step.runs_in_check and step.register and ended.result is not None:
            registered = {**registered, step.register: ended.result}
            if step.run_once:
                once[step.register] = ended.result
    checked[node] = tuple(found)
    return StepEnded(state=StepState.OK)
