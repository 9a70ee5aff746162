"""An agent that is sent with the probe saves a round trip, starts nothing unasked, and changes no answer."""

from collections.abc import Callable

import pytest

from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.model import Cause, NodeName
from clbalance.model.job import RestartPolicy
from clbalance.model.job_record import Exited
from tests.engine.kept.test_kept_transport import echo, kept
from tests.engine.services import ScriptedAgent, probed, slowly, world_of
from tests.scripted import HangUp, ScriptedNode

from .test_run import do, ends

BROKEN = "sh: 1: python3: Exec format error"


def sent(services: Services, name: str) -> list[str]:
    """What the node was sent, in one word each."""
    texts = services.transport.sent.get(NodeName(name), [])  # type: ignore[attr-defined]
    return [
        "probe" if text.startswith(b"probe") else "agent" if b"exec python3" in text else "request" for text in texts
    ]


def opened(services: Services) -> list[str]:
    return list(services.transport.opened)  # type: ignore[attr-defined]


def broken(_: bytes) -> list[bytes | HangUp]:
    return [HangUp(Cause.NO_SHELL, BROKEN)]


def many(agents: dict[str, ScriptedNode] | None = None) -> Services:
    """Twenty nodes that were asked a short while ago; `n00` is the best."""
    names = [f"n{number:02}" for number in range(20)]
    nodes = {
        name: probed(number / 10, after=(agents or {}).get(name, ScriptedAgent())) for number, name in enumerate(names)
    }
    services = world_of(nodes, shortlist_age_s=120.0)
    take_snapshot(services, [NodeName(name) for name in names])
    services.clock.pause(10.0)
    services.transport.opened.clear()  # type: ignore[attr-defined]
    services.transport.sent.clear()  # type: ignore[attr-defined]
    return services


def test_the_only_candidate_gets_the_agent_with_the_probe() -> None:
    services = world_of({"a": slowly(probed(after=ScriptedAgent()), 5.0)})
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert sent(services, "a")[:3] == ["probe", "agent", "request"]
    assert opened(services) == ["a"]


def test_where_all_candidates_are_wanted_each_gets_one() -> None:
    services = world_of({name: probed(after=ScriptedAgent()) for name in "ab"})
    assert set(ends(do(services, pick=2)).values()) == {Exited(rc=0)}
    assert [sent(services, name).count("agent") for name in "ab"] == [1, 1]


def test_where_any_of_several_may_be_chosen_none_gets_one_before() -> None:
    services = world_of({name: probed(load, after=ScriptedAgent()) for name, load in (("a", 0.1), ("b", 3.0))})
    do(services)
    assert (sent(services, "a")[:2], sent(services, "b")) == (["probe", "agent"], ["probe"])


def test_of_few_that_are_asked_the_best_as_remembered_gets_one() -> None:
    services = many()
    assert ends(do(services)) == {"n00": Exited(rc=0)}
    assert {name: sent(services, name).count("agent") for name in set(opened(services)) - {"n00"}} == dict.fromkeys(
        set(opened(services)) - {"n00"}, 0
    )
    assert sent(services, "n00")[:3] == ["probe", "agent", "request"]


def test_on_a_node_that_is_not_chosen_after_all_nothing_is_asked_of_it() -> None:
    services = many()
    services.transport.nodes[NodeName("n00")] = probed(3.0, after=ScriptedAgent())  # type: ignore[attr-defined]
    assert ends(do(services)) == {"n01": Exited(rc=0)}
    assert sent(services, "n00") == ["probe", "agent"]
    assert "n00" not in services.transport.opened[5:]  # type: ignore[attr-defined]


def test_where_others_have_filled_the_few_further_nodes_are_asked() -> None:
    def crowded(request: dict[str, object]) -> list[dict[str, object]]:
        reason = {"kind": "crowded", "why": "3.9 cpus are allocated by now", "promised_cpus": 3.9}
        return [{"ev": "refused", "job": request["job"], **reason}]

    full = {f"n{number:02}": ScriptedAgent(rules={"admit": crowded}) for number in range(20) if number != 7}
    assert ends(do(many(full))) == {"n07": Exited(rc=0)}


def refusal(services: Services) -> list[str]:
    return [one.phrase for one in do(services).plan.unfit]


@pytest.mark.parametrize(
    "agent",
    [
        pytest.param(broken, id="python3 does not start"),
        pytest.param(lambda _: [HangUp(Cause.LOST, "it ended with 255 without a message")], id="ended by a signal"),
        pytest.param(lambda _: [], id="it hangs"),
        pytest.param(lambda _: [b"some noise", HangUp(Cause.NO_SHELL, BROKEN)], id="noise before"),
    ],
)
def test_a_python_that_breaks_is_told_in_the_same_words_as_without(
    agent: Callable[[bytes], list[bytes | HangUp]],
) -> None:
    early = refusal(world_of({"a": probed(after=agent)}))
    late = refusal(world_of({"a": probed(after=agent), "b": probed(load=9.0)}))
    assert early == [one for one in late if not one.startswith("load")]
    assert len(early) == 1


def test_a_node_without_python_is_unfit_as_before() -> None:
    services = world_of({"a": probed(python=False, after=broken)})
    assert refusal(services) == refusal(world_of({"a": probed(python=False, after=broken), "b": broken}))[:1]


def test_a_session_that_ends_before_its_agent_is_called_is_opened_again() -> None:
    calls = iter([True])
    agent = ScriptedAgent()

    def once(text: bytes) -> list[bytes | HangUp]:
        return [HangUp(Cause.LOST, "reset")] if next(calls, False) else list(agent(text))

    services = world_of({"a": probed(after=once), "b": slowly(probed(after=ScriptedAgent()), 1.0)})
    assert set(ends(do(services, pick=2)).values()) == {Exited(rc=0)}
    assert opened(services) == ["a", "b", "a"]


def test_a_job_that_waits_for_room_starts_no_python_again_and_again() -> None:
    loads = iter([9.0, 9.0, 9.0, 0.1])
    agent = ScriptedAgent()
    load = 9.0

    def node(text: bytes) -> list[bytes | HangUp]:
        nonlocal load
        load = next(loads, 0.1) if text.startswith(b"probe") else load
        return list(probed(load, after=agent)(text))

    services = world_of({"a": node})
    assert ends(do(services, restart_policy=RestartPolicy(queue_for_s=3600.0))) == {"a": Exited(rc=0)}
    assert sent(services, "a").count("agent") == 2, "with the first probe, and for the job"


def test_a_shell_with_an_agent_in_it_is_not_kept_for_others() -> None:
    agent = ScriptedAgent()
    node = probed(after=lambda text: echo(text) or agent(text))
    transport, inner, services = kept(world_of({"a": node}, session_limit=1))
    transport.nodes = inner.nodes  # type: ignore[attr-defined]  # `do` runs on all nodes of its transport
    with transport:
        assert ends(do(services)) == {"a": Exited(rc=0)}
        assert inner.opened == ["a", "a"], "with this limit none stays open once the probe is answered"
        assert transport.count == 0
