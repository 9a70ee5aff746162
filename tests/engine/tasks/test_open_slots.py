"""What a run of tasks gives out, and what it leaves behind."""

import base64
import json

from clbalance.model import Cause
from clbalance.model.job import TaskRules
from clbalance.model.job_record import Cancelled, JobState
from clbalance.store.in_memory_journal import InMemoryJournal
from tests.engine.services import ScriptedAgent
from tests.scripted import HangUp, Later, ScriptedNode

from .test_stuck_slots import did, log, run, silent


def ends(request: dict[str, object]) -> list[dict[str, object]]:
    return [{"ev": "ended", "job": request["job"], "end": {"kind": "exited", "rc": 0}, "seconds": 1.0}]


def until_dismissed(agent: ScriptedNode) -> ScriptedNode:
    """An agent exits when no more requests come."""
    return lambda text: list(agent(text)) if text else [HangUp(Cause.LOST, "it has exited")]


def test_a_task_that_a_slot_returns_is_not_given_out_once_too_many_have_failed() -> None:
    given: list[object] = []
    failed = ('["s", 1]', '["e", 1, {"kind": "exited", "rc": 3}, 0.1, 0, 0]')
    agent = ScriptedAgent(rules={"follow": silent})

    def node(text: bytes) -> list[bytes | HangUp | Later]:
        """The first slot's task fails, then the second slot returns the one that it has, then the third slot starts."""
        answers = [*agent(text)]
        request = json.loads(text) if text.startswith(b"{") else {"op": ""}
        match request["op"]:
            case "start" if len([one for one in agent.heard if one["op"] == "start"]) == 3:
                return [Later(2.0, line) for line in answers if isinstance(line, bytes)]
            case "tasks":
                given.append(request["tasks"])
                lines, after_s = (failed, 0.0) if len(given) == 1 else (('["b", 2]',), 1.0)
                return [Later(after_s, agent.line(event)) for event in log(request, *lines)]
            case "finish" | "end":
                return [Later(3.0, agent.line(event)) for event in ends(request)]
        return answers

    result, _, _ = run(until_dismissed(node), count=3, rules=TaskRules(max_fail=0))
    assert given == [[[1, []]], [[2, []]]]
    assert "more tasks failed than `--max-fail` allows" in result.job_outcome.reason


def test_the_log_of_tasks_is_closed_when_the_run_is_over() -> None:
    journal = InMemoryJournal()
    agent = ScriptedAgent(rules={"follow": silent, "tasks": did, "finish": ends})
    run(until_dismissed(agent), journal=journal)
    assert journal.task_log(1).events()
    assert not journal.task_log(1).is_open


def test_a_task_that_nobody_wants_any_more_is_over_without_having_been_given_out() -> None:
    given: list[int] = []
    logged: list[str] = []

    def tasks(request: dict[str, object]) -> list[dict[str, object]]:
        numbers = [number for number, _ in request["tasks"]]  # type: ignore[attr-defined]  # what an agent is sent
        (event,) = log(
            request, *(f'["s", {one}]\n["e", {one}, {{"kind": "exited", "rc": 0}}, 0.1, 0, 0]' for one in numbers)
        )
        offset = sum(len(base64.b64decode(data)) for data in logged)
        logged.append(str(event["data"]))
        given.extend(numbers)
        return [{**event, "offset": offset}]

    agent = ScriptedAgent(rules={"follow": silent, "tasks": tasks, "finish": ends})
    unwanted = {1, 4, 5}
    node = until_dismissed(agent)
    result, _, _ = run(node, count=5, rules=TaskRules(at_once=1), is_wanted=lambda number: number not in unwanted)
    assert given == [2, 3]
    assert {one.task.number for one in result.records if isinstance(one.end, Cancelled)} == unwanted
    assert result.job_outcome.state is JobState.CANCELLED
