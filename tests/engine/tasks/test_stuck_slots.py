"""A slot that does nothing although its node answers: the run ends, and says what it does not know."""

import json
import random
from collections.abc import Callable

import pytest

from clbalance.engine.agent.listeners import NullTaskListener
from clbalance.engine.services import PlacementQuery
from clbalance.engine.tasks.run_tasks import TaskJobResult, run_tasks
from clbalance.engine.tasks.values import TaskRunContext
from clbalance.model import NodeName, Request
from clbalance.model.job import Command, RestartPolicy, Submitted, TaskRules
from clbalance.model.job_record import Lost
from clbalance.model.task import Task, TaskProgress
from clbalance.policy.placement.policies import LEAST
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.engine.run.test_run import Input
from tests.engine.services import ScriptedAgent, job, probed, world_of
from tests.scripted import HangUp, Later, ScriptedNode

Rule = Callable[[dict[str, object]], list[dict[str, object]]]


class Watched(NullTaskListener):
    """Keeps warnings and awaited nodes."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.awaited: set[NodeName] = set()

    def warned(self, node: NodeName, text: str) -> None:
        self.warnings.append(f"{node}: {text}")

    def progressed(self, progress: TaskProgress) -> None:
        self.awaited.update(progress.awaited)


def silent(_: dict[str, object]) -> list[dict[str, object]]:
    return []


def log(request: dict[str, object], *lines: str) -> list[dict[str, object]]:
    import base64

    data = base64.b64encode("".join(f"{line}\n" for line in lines).encode()).decode()
    return [{"ev": "output", "job": request["job"], "stream": "log", "offset": 0, "data": data}]


def did(request: dict[str, object]) -> list[dict[str, object]]:
    """The slot runs its task, and then hangs."""
    return log(request, '["s", 1]', '["e", 1, {"kind": "exited", "rc": 0}, 0.1, 0, 0]')


def run(
    agent: ScriptedNode,
    *,
    count: int = 1,
    rules: TaskRules | None = None,
    journal: InMemoryJournal | None = None,
    is_wanted: Callable[[int], bool] = lambda _: True,
) -> tuple[TaskJobResult, Watched, float]:
    rules = rules or TaskRules()
    world = {"a": probed(after=agent)}
    services = world_of(world, answer_within_s=6.0, step_within_s=3.0, journal=journal or InMemoryJournal())
    nodes = (NodeName("a"),)
    request = Request(needs_python=True)
    spec = job(Command(argv=("true",)), slots=True)
    tasks = tuple(Task(number=number) for number in range(1, count + 1))
    asked = Submitted(job=spec, request=request, candidates=nodes, restart_policy=RestartPolicy(), rules=rules)
    number = services.journal.submit(services.clock.now(), asked, tasks=tasks)
    watched = Watched()
    context = TaskRunContext(
        services=services,
        query=PlacementQuery(candidates=nodes, request=request, policy=LEAST, rng=random.Random(0)),
        job=job(Command(argv=("true",)), slots=True, id=number),
        tasks=tasks,
        rules=rules,
        restart_policy=RestartPolicy(),
        stdin=Input(),
        listener=watched,
        is_wanted=is_wanted,
    )
    result = run_tasks(context)
    assert isinstance(result, TaskJobResult)
    return result, watched, services.clock.monotonic()


@pytest.mark.parametrize("is_done", [False, True], ids=["with a task that it does not start", "with nothing to do"])
def test_a_slot_that_does_nothing_is_ended_and_then_left(is_done: bool) -> None:
    agent = ScriptedAgent(rules={"follow": silent, "tasks": did if is_done else silent, "end": silent})
    result, watched, took_s = run(agent)
    assert "end" in [request["op"] for request in agent.heard]
    assert watched.warnings == ["a: its slot has done nothing for 12 s; it is ended"]
    assert watched.awaited == {NodeName("a")}
    assert took_s < 30.0
    (record,) = result.records
    assert (record.end is None or isinstance(record.end, Lost)) is not is_done
    assert result.job_outcome.rc == (0 if is_done else 125)


def test_a_slot_that_does_nothing_is_ended_as_soon_beside_a_busy_one() -> None:
    busy: list[object] = []

    def tasks(request: dict[str, object]) -> list[dict[str, object]]:
        """The second slot to get a task runs it."""
        busy.append(request["job"])
        return log(request, '["s", 2]') if len(busy) == 2 else []

    def finish(request: dict[str, object]) -> list[dict[str, object]]:
        end = {"kind": "exited", "rc": 0}
        return [{"ev": "ended", "job": request["job"], "end": end, "seconds": 1.0}] if request["job"] == busy[1] else []

    agent = ScriptedAgent(rules={"follow": silent, "tasks": tasks, "end": silent, "finish": finish})

    def node(text: bytes) -> list[bytes | HangUp | Later]:
        answers: list[bytes | HangUp | Later] = [*agent(text)]
        if len(busy) == 2 and json.loads(text)["op"] == "tasks":  # it prints for two minutes
            said = {"ev": "output", "job": busy[1], "stream": "stdout", "data": "Lg=="}
            answers += [Later(2.0 * at, agent.line({**said, "offset": at - 1})) for at in range(1, 60)]
        elif len(busy) == 2 and json.loads(text)["op"] == "end":
            (end,) = log({"job": busy[1]}, '["e", 2, {"kind": "exited", "rc": 0}, 0.1, 0, 0]')
            answers.append(agent.line({**end, "offset": len('["s", 2]\n')}))
        return answers

    _, watched, took_s = run(node, count=2)
    assert "a: its slot has done nothing for 12 s; it is ended" in watched.warnings
    assert took_s < 60.0


def test_a_node_that_hangs_is_no_fault_of_its_slots() -> None:
    pings: list[dict[str, object]] = []

    def once(request: dict[str, object]) -> list[dict[str, object]]:
        """It still answers when the slot has owed its start for half of its time, and then no more."""
        pings.append(request)
        return [{"ev": "alive"}] if len(pings) == 1 else []

    agent = ScriptedAgent(rules={"follow": silent, "tasks": silent, "end": silent, "ping": once})
    result, watched, _ = run(agent)
    assert "end" not in [request["op"] for request in agent.heard]
    assert not any("has done nothing" in warning for warning in watched.warnings)
    (record,) = result.records
    assert record.end is None or isinstance(record.end, Lost)
