"""A node that stops in the middle of a start costs one deadline, is named with the step, and the next one is taken."""

from collections.abc import Callable

import pytest

from clbalance.engine.agent.protocol import CHUNK_BYTES
from clbalance.engine.jobs.submitted import await_ends
from clbalance.engine.services import Services
from clbalance.model import Cause, NodeName
from clbalance.model.job_record import Exited, JobState, Lost
from tests.engine.services import Notes, ScriptedAgent, probed, world_of
from tests.scripted import ScriptedTransport

from .test_run import do, ends

Rule = Callable[[dict[str, object]], list[dict[str, object]]]


def silent(_: dict[str, object]) -> list[dict[str, object]]:
    return []


def state(word: str) -> Rule:
    return lambda request: [{"ev": "settled", "job": request["job"], "state": word}]


class Dumb(ScriptedAgent):
    """Never says hello."""

    def __call__(self, text: bytes) -> list[object]:  # type: ignore[override]
        return []


STALLS = {
    "the start of python3": Dumb(),
    "claim": ScriptedAgent(rules={"claim": silent, "admit": silent}),
    "admit": ScriptedAgent(rules={"admit": silent}),
}


def cluster(**agents: ScriptedAgent) -> Services:
    """`a` is the best node, then `b`, then `c`; each step may take 3 s, an answer 6 s."""
    loads = {"a": 0.1, "b": 0.2, "c": 0.3}
    nodes = {name: probed(load, after=agents.get(name, ScriptedAgent())) for name, load in loads.items()}
    return world_of(nodes, answer_within_s=6.0, step_within_s=3.0)


@pytest.mark.parametrize("step", STALLS)
def test_the_next_best_node_is_taken_after_one_deadline(step: str) -> None:
    services = cluster(a=STALLS[step])
    assert ends(do(services)) == {"b": Exited(rc=0)}
    assert services.clock.monotonic() <= 8.0


@pytest.mark.parametrize("step", STALLS)
def test_the_node_that_stalls_is_to_blame_and_the_healthy_one_is_released(step: str) -> None:
    services = cluster(a=STALLS[step])
    del services.transport.nodes[NodeName("c")]  # type: ignore[attr-defined]
    result = do(services, pick=2)
    assert result.dispatched is None
    limit_s = 6 if step == "the start of python3" else 3
    assert [(one.node, one.detail) for one in result.plan.unfit] == [
        ("a", f"timed out: no answer to {step} within {limit_s} s")
    ]


def test_the_lease_of_a_copy_that_waits_for_another_one_is_kept() -> None:
    waiting = ScriptedAgent(rules={"keep": lambda request: [{"ev": "kept", "job": request["job"]}]})
    stalled = ScriptedAgent(rules={"admit": silent})
    nodes = {"a": probed(0.1, after=waiting), "b": probed(0.2, after=stalled)}
    result = do(world_of(nodes, answer_within_s=55.0, step_within_s=45.0), pick=2)
    assert [(one.node, one.detail) for one in result.plan.unfit] == [("b", "timed out: no answer to admit within 45 s")]
    assert [request["op"] for request in waiting.heard].count("keep") == 4


def test_who_is_awaited_is_told_meanwhile() -> None:
    services = cluster(a=STALLS["admit"])
    do(services, pick=2)
    assert isinstance(services.listener, Notes)
    assert {NodeName("a")} in services.listener.awaited


@pytest.mark.parametrize(
    "sick",
    [
        ScriptedAgent(rules={"put": silent}),
        ScriptedAgent(rules={"start": silent, "follow": silent, "settle": state("void")}),
    ],
    ids=["put", "start"],
)
def test_the_node_that_stores_or_starts_nothing_is_told_meanwhile(sick: ScriptedAgent) -> None:
    services = cluster(a=sick)
    del services.transport.nodes[NodeName("c")]  # type: ignore[attr-defined]
    do(services, pick=2, stdin=bytes(17 * CHUNK_BYTES))
    assert isinstance(services.listener, Notes)
    told = services.listener.awaited
    admitted = len(told) - told[::-1].index(set())
    assert {NodeName("a")} in told[admitted:]


def test_a_job_whose_node_has_not_started_it_goes_to_the_next_one() -> None:
    """The first agent hangs, and a second one finds that nothing was started."""
    stalled = ScriptedAgent(rules={"start": silent, "follow": silent, "settle": state("void")})
    services = cluster(a=stalled)
    assert ends(do(services)) == {"b": Exited(rc=0)}
    assert services.clock.monotonic() < 12.0


def test_a_start_that_came_to_nothing_does_not_end_the_job_that_runs_elsewhere() -> None:
    """Nobody controls it any more: whoever looks sees only its last attempt."""
    services = cluster(a=ScriptedAgent(rules={"start": silent, "follow": silent, "settle": state("void")}))
    number = do(services, detach=True).job.id
    (running,) = services.journal.records()
    assert (running.id, running.state, running.attempt, running.nodes) == (number, JobState.RUNNING, 2, ("b",))
    (seen,) = await_ends(services, [running])
    assert [(one.node, one.end) for one in seen.outcomes] == [("b", Exited(rc=0))]
    assert (seen.record.state, seen.record.rc) == (JobState.COMPLETED, 0)


def test_a_job_that_gets_its_number_late_gets_one_number() -> None:
    services = cluster(a=ScriptedAgent(rules={"start": silent, "follow": silent, "settle": state("void")}))
    assert ends(do(services, detach=True, late=True)) == {}
    assert [(one.id, one.nodes) for one in services.journal.records()] == [(1, ("b",))]


def test_a_job_that_may_have_been_started_is_started_nowhere_else() -> None:
    calls = 0

    def once(text: bytes) -> object:
        nonlocal calls
        calls += text.startswith(b"exec python3")
        return stalled(text) if calls == 1 else []

    stalled = ScriptedAgent(rules={"start": silent, "follow": silent})
    services = world_of(
        {"a": probed(0.1, after=once), "b": probed(0.2, after=ScriptedAgent())},  # type: ignore[arg-type]
        answer_within_s=6.0,
        step_within_s=3.0,
    )
    (end,) = ends(do(services)).values()
    assert isinstance(end, Lost)
    assert isinstance(services.transport, ScriptedTransport)
    assert not [text for text in services.transport.sent[NodeName("b")] if b"claim" in text]


def test_an_agent_that_hangs_while_its_job_runs_is_replaced_by_another_one() -> None:
    """A job may be silent for ever; its agent answers a ping."""
    agents = iter(
        [
            ScriptedAgent(rules={"follow": silent, "ping": silent}),
            ScriptedAgent(rules={"settle": state("ended")}),
        ]
    )
    serving: list[ScriptedAgent] = []

    def node(text: bytes) -> object:
        if text.startswith(b"exec python3"):
            serving[:] = [next(agents)]
        return serving[0](text)

    services = world_of({"a": probed(after=node)}, answer_within_s=6.0, step_within_s=3.0)  # type: ignore[arg-type]
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert isinstance(services.listener, Notes)
    assert services.listener.warnings == [
        ("a", "timed out: no answer to ping within 6 s; trying to reach it again for 12 s")
    ]


def test_a_node_whose_agents_all_hang_once_they_have_found_the_job_is_given_up() -> None:
    hanging = {"follow": silent, "ping": silent, "settle": state("running")}
    services = cluster(a=ScriptedAgent(rules=hanging))
    (end,) = ends(do(services)).values()
    assert end == Lost(cause=Cause.TIMEOUT, reason="no answer to ping within 6 s")
    assert services.clock.monotonic() < 60.0
    assert isinstance(services.listener, Notes)
    assert len(services.listener.warnings) == 1


def test_a_job_that_is_silent_for_long_is_followed_as_long_as_its_agent_answers() -> None:
    pings = 0

    def ping(_: dict[str, object]) -> list[dict[str, object]]:
        nonlocal pings
        pings += 1
        over = {"ev": "ended", "job": "ab" * 16 + ".1", "end": {"kind": "exited", "rc": 0}, "seconds": 1.0}
        return [{"ev": "alive"}, over] if pings == 5 else [{"ev": "alive"}]

    services = cluster(a=ScriptedAgent(rules={"follow": silent, "ping": ping}))
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert services.clock.monotonic() > 30.0
    assert isinstance(services.listener, Notes)
    assert services.listener.warnings == []


# What an agent sends is bounded in each step.

NOISE = [b"garbage"] * 20_000


@pytest.mark.parametrize("op", ["claim", "admit", "start"])
def test_noise_without_end_ends_the_session(op: str) -> None:
    class Noisy(ScriptedAgent):
        def __call__(self, text: bytes) -> list[object]:  # type: ignore[override]
            answers = super().__call__(text)
            return [*NOISE, *answers] if f'"{op}"'.encode() in text else list(answers)

    services = cluster(a=Noisy(rules={"settle": state("void")}))
    assert ends(do(services)) == {"b": Exited(rc=0)}


def test_noise_of_a_login_profile_harms_nobody() -> None:
    class Greeting(ScriptedAgent):
        def __call__(self, text: bytes) -> list[object]:  # type: ignore[override]
            return [b"Welcome to the cluster!"] * 1000 + list(super().__call__(text))

    assert ends(do(cluster(a=Greeting()))) == {"a": Exited(rc=0)}


@pytest.mark.parametrize(
    ("offset", "size"), [(100, 10), (0, (1 << 20) + 1)], ids=["from a wrong place", "more than the window"]
)
def test_output_that_was_not_asked_for_is_not_taken(offset: int, size: int) -> None:
    import base64

    def follow(request: dict[str, object]) -> list[dict[str, object]]:
        data = base64.b64encode(b"x" * size).decode()
        return [{"ev": "output", "job": request["job"], "stream": "stdout", "offset": offset, "data": data}]

    services = cluster(a=ScriptedAgent(rules={"follow": follow}))
    (end,) = ends(do(services)).values()
    assert end == Lost(cause=Cause.GARBLED, reason="it sends stdout that was not asked for")
    assert isinstance(services.listener, Notes)
    assert services.listener.printed == {}


def test_errors_without_end_are_told_a_bounded_number_of_times() -> None:
    def follow(request: dict[str, object]) -> list[dict[str, object]]:
        wrong = [{"ev": "error", "job": request["job"], "why": "again"}] * 1000
        over = {"ev": "ended", "job": request["job"], "end": {"kind": "exited", "rc": 0}, "seconds": 1.0}
        return [*wrong, over]

    services = cluster(a=ScriptedAgent(rules={"follow": follow}))
    assert ends(do(services)) == {"a": Exited(rc=0)}
    assert isinstance(services.listener, Notes)
    assert len(services.listener.warnings) == 50
