"""Where every node is to get a slot, the agent is sent with the probe; nothing is started unasked."""

import pytest

from clbalance.model.job import RestartPolicy, TaskRules
from tests.engine.run.test_early_agents import sent
from tests.engine.services import ScriptedAgent, probed, world_of
from tests.scripted import HangUp

from .test_accepted import control, full_after, killed, submitted

FULL = 9.0
WITHIN = {"answer_within_s": 3.0, "step_within_s": 3.0}


def agent() -> ScriptedAgent:
    """It admits one slot, which dies."""
    return ScriptedAgent(rules={"admit": full_after(1), "follow": killed})


@pytest.mark.parametrize(
    ("nodes", "rules", "other_is_sent"),
    [
        pytest.param("a", TaskRules(), ["probe", "agent"], id="a task for each node"),
        pytest.param("ab", TaskRules(), ["probe"], id="fewer tasks than nodes"),
        pytest.param("a", TaskRules(at_once=1), ["probe"], id="fewer at once than nodes"),
    ],
)
def test_nodes_get_the_agent_with_the_probe_if_there_is_work_for_all(
    nodes: str, rules: TaskRules, other_is_sent: list[str]
) -> None:
    world = {name: probed(after=agent()) for name in nodes}
    services = world_of({**world, "other": probed(python=False)}, **WITHIN)
    control(services, submitted(services, RestartPolicy(), rules))
    assert sent(services, "other") == other_is_sent, "there are two tasks; of a node that never fits nothing is asked"
    assert [sent(services, name)[:3] for name in nodes] == [["probe", "agent", "request"]] * len(nodes)


def test_tasks_that_wait_for_room_start_no_python_again_and_again() -> None:
    loads, usual = iter([FULL, FULL, FULL]), agent()

    def node(text: bytes) -> list[bytes | HangUp]:
        load = next(loads, 0.1) if text.startswith(b"probe") else 0.1
        return list(probed(load, after=usual)(text))  # type: ignore[arg-type]  # nothing is sent later

    services = world_of({"a": node}, **WITHIN)
    control(services, submitted(services, RestartPolicy(queue_for_s=3600.0), TaskRules()))
    assert sent(services, "a")[:6] == ["probe", "agent", "probe", "probe", "probe", "agent"]
