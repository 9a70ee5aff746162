"""A job goes to the least loaded nodes, everywhere or nowhere, and comes back with its output and its end."""

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from signal import SIGHUP

import pytest

from clbalance.engine.agent.copies import DETACHED, FOREGROUND
from clbalance.engine.agent.protocol import CHUNK_BYTES
from clbalance.engine.run.run import Run
from clbalance.engine.run.values import RunContext, RunResult
from clbalance.engine.services import PlacementQuery, Services
from clbalance.errors import Interrupted
from clbalance.model import Cause, NodeName, Request
from clbalance.model.job import Command, JobSpec, RestartPolicy, Script, Submitted
from clbalance.model.job_record import Cancelled, End, Exited, JobState, Killed, Lost, NotStarted, Outcome, TimedOut
from clbalance.policy.jobs.outcome import run_exit_code
from clbalance.policy.placement.policies import LEAST
from tests.engine.services import Notes, ScriptedAgent, job, probed, slowly, world_of
from tests.scripted import HangUp, Later

Rule = Callable[[dict[str, object]], list[dict[str, object]]]


ONCE = RestartPolicy()


class Input:
    path = None

    def __init__(self, content: bytes = b"") -> None:
        self.content = content

    live = None

    def read(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


def do(
    services: Services,
    spec: JobSpec | None = None,
    pick: int | None = 1,
    stdin: bytes = b"",
    restart_policy: RestartPolicy = ONCE,
    detach: bool = False,
    late: bool = False,
) -> RunResult:
    """`late`: the job gets its number only once nodes have admitted it."""
    names = tuple(NodeName(name) for name in sorted(services.transport.nodes))  # type: ignore[attr-defined]
    request = Request(pick=pick, needs_python=True)
    query = PlacementQuery(candidates=names, request=request, policy=LEAST, rng=random.Random(0))
    assert isinstance(services.listener, Notes)
    spec = spec or job()
    asked = Submitted(job=spec, request=request, candidates=names, restart_policy=restart_policy)
    submit = lambda: services.journal.submit(services.clock.now(), asked)  # noqa: E731 - for this call alone
    spec = replace(spec, id=0 if late else submit())
    course = RunContext(
        services=services,
        query=query,
        stdin=Input(stdin),
        listener=services.listener,
        mode=DETACHED if detach else FOREGROUND,
        submit=submit,
    )
    return Run(course, spec, restart_policy).carry_out()


def cluster(loads: dict[str, float], **agents: ScriptedAgent) -> Services:
    return world_of({name: probed(load, after=agents.get(name, ScriptedAgent())) for name, load in loads.items()})


def ends(result: RunResult) -> dict[str, End]:
    assert result.dispatched is not None
    return {outcome.node: outcome.end for outcome in result.dispatched.outcomes}


def test_a_job_goes_to_the_least_loaded_node() -> None:
    result = do(cluster({"a": 3.0, "b": 0.1, "c": 2.0}))
    assert ends(result) == {"b": Exited(rc=0)}


def test_the_agent_is_sent_over_the_session_that_probed() -> None:
    services = cluster({"a": 3.0, "b": 0.1})
    do(services)
    assert services.transport.opened == ["a", "b"]  # type: ignore[attr-defined]


def test_output_arrives_whole_and_before_the_end() -> None:
    services = cluster({"a": 0.1}, a=ScriptedAgent(output=b"\0\xff no newline"))
    do(services)
    assert isinstance(services.listener, Notes)
    assert services.listener.printed == {("a", "stdout"): b"\0\xff no newline"}
    assert [outcome.end for outcome in services.listener.outcomes] == [Exited(rc=0)]


@pytest.mark.parametrize(("size", "acks"), [(1000, []), (300_000, [300_000])], ids=["a little", "much"])
def test_much_output_is_acknowledged_long_before_its_agent_must_wait(size: int, acks: list[int]) -> None:
    agent = ScriptedAgent(output=b"x" * size)
    do(cluster({"a": 0.1}, a=agent))
    assert [request["offset"] for request in agent.heard if request["op"] == "ack"] == acks


def test_what_a_job_left_on_its_node_is_forgotten_at_the_end() -> None:
    agent = ScriptedAgent()
    do(cluster({"a": 0.1}, a=agent))
    assert agent.heard[-1]["op"] == "forget"


def test_script_and_input_are_sent_in_pieces_before_the_start() -> None:
    agent = ScriptedAgent()
    content = bytes(range(256)) * 1024
    do(cluster({"a": 0.1}, a=agent), job(Script(name="s", content=b"#!/bin/sh\n")), stdin=content)
    ops = [request["op"] for request in agent.heard]
    pieces = -(-len(content) // CHUNK_BYTES)
    assert ops[: pieces + 4] == ["claim", "admit", "put", *["put"] * pieces, "start"]


def test_more_input_than_may_be_in_flight_waits_for_the_node() -> None:
    agent = ScriptedAgent()
    result = do(cluster({"a": 0.1}, a=agent), stdin=b"y" * (CHUNK_BYTES * 40 + 1))
    assert sum(request["op"] == "put" for request in agent.heard) == 42
    assert ends(result) == {"a": Exited(rc=0)}


def test_copies_start_only_when_all_are_ready() -> None:
    order: list[str] = []

    def noting(name: str) -> dict[str, Rule]:
        usual = ScriptedAgent().usual
        return {
            op: (lambda request, op=op: order.append(f"{name} {op}") or usual(op, request))  # type: ignore[misc]
            for op in ("claim", "start")
        }

    agents = {name: ScriptedAgent(rules=noting(name)) for name in "abc"}
    result = do(cluster({"a": 0.1, "b": 0.2, "c": 0.3}, **agents), pick=3)
    assert set(ends(result).values()) == {Exited(rc=0)}
    assert {step.split()[1] for step in order[:3]} == {"claim"}
    assert {step.split()[1] for step in order[3:]} == {"start"}


def refusing(reason: str, rc: int | None = None) -> Rule:
    return lambda request: [{"ev": "refused", "job": request["job"], "kind": "storage", "why": reason, "rc": rc}]


def test_one_refusal_starts_nothing_anywhere() -> None:
    willing, full = ScriptedAgent(), ScriptedAgent(rules={"claim": refusing("No space left on device")})
    result = do(cluster({"a": 0.1, "b": 0.2}, a=willing, b=full), pick=2)
    assert result.dispatched is None
    assert [(one.node, one.reason, one.detail) for one in result.plan.unfit] == [
        ("b", "refused by the node", "No space left on device")
    ]
    assert "start" not in [request["op"] for request in willing.heard]


def test_a_node_that_refuses_makes_room_for_the_next_best() -> None:
    agents = {"a": ScriptedAgent(rules={"admit": refusing("2 of 4 cpus are free")}), "b": ScriptedAgent()}
    services = cluster({"a": 0.1, "b": 0.2, "c": 0.3}, **agents)
    assert ends(do(services)) == {"b": Exited(rc=0)}
    assert isinstance(services.listener, Notes)
    assert [plan.chosen for plan in services.listener.plans] == [("b",)]


@pytest.mark.parametrize(
    ("probe_s", "refusal_s"), [(5.0, 0.0), (1.5, 1.5)], ids=["it is still late", "it has answered meanwhile"]
)
def test_after_a_refusal_a_node_that_was_not_awaited_is_awaited_after_all(probe_s: float, refusal_s: float) -> None:
    full, late = ScriptedAgent(rules={"admit": refusing("2 of 4 cpus are free")}), probed(0.5, after=ScriptedAgent())

    def slow(text: bytes) -> Sequence[bytes | HangUp | Later]:
        return slowly(late, probe_s)(text) if text.startswith(b"probe") else late(text)

    services = world_of({"a": probed(0.1, after=slowly(full, refusal_s)), "b": slow})
    assert ends(do(services)) == {"b": Exited(rc=0)}
    assert services.transport.opened == ["a", "b"]  # type: ignore[attr-defined]
    now = services.clock.now()
    samples = services.store.history([NodeName("a"), NodeName("b")], now - timedelta(days=1), now)
    assert {node: sum(point.asked for point in points) for node, points in samples.items()} == {"a": 1, "b": 1}


def test_after_a_refusal_a_node_that_hangs_is_not_awaited_where_another_fits() -> None:
    full = ScriptedAgent(rules={"admit": refusing("2 of 4 cpus are free")})
    nodes = {"a": probed(0.1, after=full), "b": lambda _: [], "c": probed(0.5, after=ScriptedAgent())}
    services = world_of(nodes)  # type: ignore[arg-type]
    assert ends(do(services)) == {"c": Exited(rc=0)}
    assert services.clock.monotonic() < 5.0


def test_a_node_whose_session_was_closed_to_make_room_is_not_awaited_again() -> None:
    full = ScriptedAgent(rules={"admit": refusing("2 of 4 cpus are free")})
    nodes = {"a": probed(0.1, after=full), "b": lambda _: []}
    result = do(world_of(nodes, session_limit=1))  # type: ignore[arg-type]
    assert result.dispatched is None
    assert {one.node: one.reason for one in result.plan.unfit} == {"a": "refused by the node", "b": "not awaited"}


def test_a_request_that_a_node_does_not_understand_is_a_refusal() -> None:
    odd = ScriptedAgent(rules={"admit": lambda _: [{"ev": "error", "why": "not a request"}]})
    services = cluster({"a": 0.1, "b": 0.2}, a=odd)
    assert ends(do(services)) == {"b": Exited(rc=0)}
    assert services.clock.monotonic() < 5


def test_a_node_that_freezes_while_others_are_admitted_is_not_waited_for_for_ever() -> None:
    frozen = ScriptedAgent(rules={"claim": lambda _: [], "admit": lambda _: []})
    result = do(cluster({"a": 0.1, "b": 0.2, "c": 0.3}, b=frozen), pick=2)
    assert result.dispatched is None or set(ends(result).values()) == {Exited(rc=0)}


def test_a_refused_admission_is_no_restart() -> None:
    agents = {"a": ScriptedAgent(rules={"admit": refusing("no")}), "b": ScriptedAgent()}
    do(cluster({"a": 0.1, "b": 0.2}, **agents))
    (start,) = [request for request in agents["b"].heard if request["op"] == "start"]
    assert isinstance(start["spec"], dict)
    assert start["spec"]["env"]["CLBALANCE_RESTART_COUNT"] == "0"


def test_no_attempt_is_claimed_twice() -> None:
    agents = {
        "a": ScriptedAgent(),
        "b": ScriptedAgent(rules={"admit": refusing("no")}),
        "c": ScriptedAgent(),
    }
    result = do(cluster({"a": 0.1, "b": 0.2, "c": 0.3}, **agents), pick=2)
    assert ends(result) == {"a": Exited(rc=0), "c": Exited(rc=0)}
    assert [r["job"] for r in agents["a"].heard if r["op"] == "claim"] == ["ab" * 16 + ".1", "ab" * 16 + ".2"]


def test_a_lease_is_asked_for_as_the_request_says() -> None:
    agent = ScriptedAgent()
    do(cluster({"a": 0.1}, a=agent))
    (admit,) = [request for request in agent.heard if request["op"] == "admit"]
    assert admit["lease"] == {
        "cpus": 1.0,
        "mem_bytes": 0,
        "gpu_count": 0,
        "gpu_candidates": [],
        "gpu_share": 1.0,
        "slots": 1,
        "exclusive": False,
        "name": "train",
        "tmp_bytes": 0,
        "limit_cpus": None,
        "limit_mem_bytes": None,
        "time_limit_s": None,
    }


def test_a_command_that_is_not_there_ends_as_in_a_shell() -> None:
    agent = ScriptedAgent(rules={"start": refusing("nosuch: command not found", 127), "follow": lambda _: []})
    result = do(cluster({"a": 0.1}, a=agent), job(Command(argv=("nosuch",))))
    assert result.dispatched is not None
    assert run_exit_code(result.dispatched.outcomes) == 127


def test_a_copy_that_fails_to_start_takes_the_started_ones_with_it() -> None:
    def ended(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"ev": "ended", "job": request["job"], "end": {"kind": "cancelled", "why": "x"}, "seconds": 0.1}]

    running = ScriptedAgent(rules={"follow": lambda _: [], "end": ended})
    failing = ScriptedAgent(rules={"start": refusing("bad", 126), "follow": lambda _: []})
    result = do(cluster({"a": 0.1, "b": 0.2}, a=running, b=failing), pick=2)
    assert ends(result) == {"a": Cancelled(reason="x"), "b": NotStarted(reason="bad", rc=126)}


def going_away(request: dict[str, object]) -> list[dict[str, object]]:
    return [{"hang_up": {"cause": Cause.HUNG, "reason": "frozen"}}]


def test_of_a_node_that_goes_away_after_the_start_nothing_is_known() -> None:
    result = do(cluster({"a": 0.1}, a=ScriptedAgent(rules={"follow": going_away})))
    assert ends(result) == {"a": Lost(cause=Cause.HUNG, reason="frozen")}


def test_a_node_that_goes_away_before_the_start_makes_room_for_the_next_best() -> None:
    agents = {"a": ScriptedAgent(rules={"claim": going_away}), "b": ScriptedAgent()}
    assert ends(do(cluster({"a": 0.1, "b": 0.2}, **agents))) == {"b": Exited(rc=0)}


@pytest.mark.parametrize(
    ("parsed", "end"),
    [
        ({"kind": "exited", "rc": 3}, Exited(rc=3)),
        ({"kind": "killed", "signal": 9}, Killed(signal=9)),
        ({"kind": "timeout"}, TimedOut(limit_s=60.0)),
        ({"kind": "cancelled", "why": "w"}, Cancelled(reason="w")),
    ],
)
def test_every_kind_of_end_is_told(parsed: dict[str, object], end: End) -> None:
    result = do(cluster({"a": 0.1}, a=ScriptedAgent(end=parsed)), job(time_limit_s=60.0))
    assert ends(result) == {"a": end}


@pytest.mark.parametrize(
    "line",
    [
        {"ev": "ended", "job": "x", "end": {"kind": "exited", "rc": "0"}, "seconds": 1},
        {"ev": "ended", "end": {"kind": "exited", "rc": 0}},
        {"ev": "nonsense"},
        {"end": {"kind": "exited", "rc": 0}},
    ],
)
def test_an_event_that_is_not_exactly_one_counts_for_nothing(line: dict[str, object]) -> None:
    agent = ScriptedAgent(rules={"follow": lambda _: [line, {"hang_up": {"cause": Cause.LOST, "reason": "gone"}}]})
    assert ends(do(cluster({"a": 0.1}, a=agent))) == {"a": Lost(cause=Cause.LOST, reason="gone")}


def test_an_agent_of_another_protocol_starts_nothing() -> None:
    agent = ScriptedAgent()
    other = world_of({"a": probed(0.1, after=lambda text: [line.replace(b'"protocol": 2', b'"protocol": 3') for line in agent(text)])})  # type: ignore[union-attr]  # fmt: skip
    assert do(other).dispatched is None
    assert not agent.heard


def test_nothing_is_started_where_too_few_nodes_fit() -> None:
    agent = ScriptedAgent()
    services = cluster({"a": 0.1, "b": 9.0}, a=agent)
    result = do(services, pick=2)
    assert result.dispatched is None
    assert not agent.heard


def test_a_node_without_python_is_not_used_for_jobs() -> None:
    services = world_of({"a": probed(0.1, python=False), "b": probed(3.0, after=ScriptedAgent())})
    assert set(ends(do(services))) == {"b"}


def test_the_environment_tells_a_copy_who_it_is() -> None:
    agents = {name: ScriptedAgent() for name in ("n1", "n2")}
    do(cluster({"n1": 0.1, "n2": 0.2}, **agents), pick=2)
    for rank, agent in enumerate(agents.values()):
        (start,) = [request for request in agent.heard if request["op"] == "start"]
        spec = start["spec"]
        assert isinstance(spec, dict)
        assert spec["env"] == {
            "A": "1",
            "CLBALANCE_JOB_ID": "1",
            "CLBALANCE_JOB_NAME": "train",
            "CLBALANCE_NODELIST": "n[1-2]",
            "CLBALANCE_NNODES": "2",
            "CLBALANCE_MASTER_NODE": "n1",
            "CLBALANCE_MASTER_PORT": "20001",
            "CLBALANCE_NODEID": str(rank),
            "CLBALANCE_NODE": f"n{rank + 1}",
            "CLBALANCE_SUBMIT_HOST": "login1",
            "CLBALANCE_SUBMIT_DIR": "/home/u",
            "CLBALANCE_RESTART_COUNT": "0",
            "CLBALANCE_PREV_NODES": "",
        }
        assert spec["hosts"] == "n1\nn2\n"


def test_told_to_stop_it_ends_the_job_on_its_nodes_first() -> None:
    def ended(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"ev": "ended", "job": request["job"], "end": {"kind": "cancelled", "why": "told"}, "seconds": 2.0}]

    def saying(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"ev": "output", "job": request["job"], "stream": "stdout", "offset": 0, "data": "eA=="}]

    services = cluster({"a": 0.1}, a=ScriptedAgent(rules={"follow": saying, "end": ended}))
    assert isinstance(services.listener, Notes)

    def interrupt() -> None:
        raise Interrupted(15)

    services.listener.on_output = interrupt
    result = do(services)
    assert result.dispatched is not None
    assert result.dispatched.interrupted == 15
    assert ends(result) == {"a": Cancelled(reason="told")}
    assert run_exit_code(result.dispatched.outcomes, result.dispatched.interrupted) == 143


def test_a_hangup_lets_a_job_go_whose_output_came_before_the_word_of_its_start() -> None:
    def saying(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"ev": "output", "job": request["job"], "stream": "stdout", "offset": 0, "data": "eA=="}]

    agent = ScriptedAgent(rules={"start": lambda _: [], "follow": saying})
    services = cluster({"a": 0.1}, a=agent)
    assert isinstance(services.listener, Notes)

    def hang_up() -> None:
        raise Interrupted(SIGHUP)

    services.listener.on_output = hang_up
    result = do(services)
    assert result.dispatched is not None
    assert result.dispatched.interrupted == SIGHUP
    assert "end" not in [request["op"] for request in agent.heard]
    record = services.journal.record(result.job.id)
    assert record is not None
    assert record.state is JobState.RUNNING


def test_a_node_that_does_not_confirm_the_end_is_not_waited_for() -> None:
    def saying(request: dict[str, object]) -> list[dict[str, object]]:
        return [{"ev": "output", "job": request["job"], "stream": "stdout", "offset": 0, "data": "eA=="}]

    services = cluster({"a": 0.1}, a=ScriptedAgent(rules={"follow": saying}))
    assert isinstance(services.listener, Notes)

    def broken() -> None:
        raise BrokenPipeError

    services.listener.on_output = broken
    before = services.clock.monotonic()
    result = do(services)
    assert result.dispatched is not None
    assert result.dispatched.interrupted == 13
    assert services.clock.monotonic() - before < 3.0


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        pytest.param([Exited(rc=0), Exited(rc=3), Exited(rc=1)], 3, id="the highest of several"),
        pytest.param([Killed(signal=9)], 137, id="a signal as a shell tells it"),
        pytest.param([TimedOut(limit_s=1)], 124, id="its time limit"),
        pytest.param([Lost(cause=Cause.HUNG, reason="")], 125, id="a lost node"),
        pytest.param([NotStarted(reason="")], 125, id="not started"),
        pytest.param([NotStarted(reason="", rc=126)], 126, id="not executable"),
        pytest.param([Exited(rc=255)], 255, id="the job's own 255 is the job's"),
        pytest.param([], 125, id="nothing at all"),
    ],
)
def test_the_exit_code(parts: list[End], code: int) -> None:
    outcomes = [Outcome(node=NodeName(f"n{i}"), rank=i, end=end, seconds=0.0) for i, end in enumerate(parts)]
    assert run_exit_code(outcomes) == code


def test_a_detached_job_is_left_when_it_has_started_everywhere_though_a_copy_has_ended() -> None:
    quick, slow = ScriptedAgent(), ScriptedAgent(rules={"follow": lambda _: []})
    result = do(cluster({"a": 0.1, "b": 0.2}, a=quick, b=slow), pick=2, detach=True)
    assert ends(result) == {"a": Exited(rc=0)}
    assert [request["streams"] for request in quick.heard if request["op"] == "follow"] == [[]]
