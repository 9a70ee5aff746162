"""Jobs of other users are visited as their owners, or not at all."""

import json

import pytest

from clbalance.engine.agent.copies import FollowMode
from clbalance.engine.jobs.leased import end_leased, kept_specs, visit_leased
from clbalance.model import Allocation, Cause, Lease, NodeName
from clbalance.model.job_record import Cancelled, Lost
from clbalance.policy.jobs.leased import LeasedCopy, LeasedJob
from clbalance.policy.jobs.leased_view import KeptSpec, kept_spec
from tests.engine.services import ScriptedAgent, world_of

KEY = "0123456789abcdef" * 2
ROOT = 0
ALICE = 2001


def leased(uid: int, *nodes: str, claim: int = 1) -> LeasedJob:
    lease = Lease(key=KEY, attempt=claim, uid=uid, allocation=Allocation())
    copies = [LeasedCopy(node=NodeName(node), lease=lease, boot_id="b", login=0, age_s=1.0) for node in nodes]
    return LeasedJob(key=KEY, uid=uid, copies=tuple(copies))


def agent(uid: int) -> ScriptedAgent:
    return ScriptedAgent(uid=uid, end={"kind": "cancelled", "why": "said so"})


@pytest.mark.parametrize("uid", [ROOT, 2002])
def test_an_agent_that_is_not_the_owner_is_asked_nothing(uid: int) -> None:
    """Root that could not become him, or a login that is not root."""
    node = agent(uid)
    services = world_of({"n1": node})
    ((outcome,),) = end_leased(services, [leased(ALICE, "n1")], "because")
    assert isinstance(outcome.end, Lost)
    assert (outcome.end.cause, "`-l root`" in outcome.end.reason) == (Cause.NOT_ROOT, True)
    assert node.heard == []


def test_the_owner_is_named_before_anything_is_asked() -> None:
    node = agent(ALICE)
    services = world_of({"n1": node})
    ((outcome,),) = end_leased(services, [leased(ALICE, "n1")], "because")
    assert outcome.end == Cancelled(reason="said so")
    assert [request["op"] for request in node.heard] == ["settle", "end", "follow"]
    assert (node.heard[0]["void"], node.heard[1]["why"]) == (False, "because")
    assert node.called_as == [str(ALICE)]


def test_jobs_of_several_owners_are_visited_as_each_of_them() -> None:
    nodes = {"n1": agent(ALICE), "n2": agent(2002)}
    services = world_of(nodes)
    ends = end_leased(services, [leased(ALICE, "n1"), leased(2002, "n2")], "because")
    assert [[outcome.node for outcome in one] for one in ends] == [["n1"], ["n2"]]
    assert [node.called_as for node in nodes.values()] == [[str(ALICE)], ["2002"]]


def test_an_own_visit_names_no_owner() -> None:
    """The agent stays who it is, and its command line is that of every other visit."""
    node = agent(ROOT)
    visit_leased(world_of({"n1": node}), [], FollowMode())
    assert node.called_as == []


SPEC = {
    "argv": None,
    "script": {"name": "train.sh", "args": ["--fast", "7"]},
    "chdir": "/data",
    "time_limit_s": 60,
    "env": {"CLBALANCE_JOB_ID": "17", "CLBALANCE_SUBMIT_HOST": "login1"},
}
KEPT = KeptSpec(command=("train.sh", "--fast", "7"), chdir="/data", time_limit_s=60.0, number=17, submit_host="login1")


def test_a_spec_is_read_from_the_owners_folder() -> None:
    node = ScriptedAgent(uid=ALICE, output=json.dumps(SPEC).encode())
    assert kept_specs(world_of({"n1": node}), [leased(ALICE, "n1")]) == (KEPT,)
    assert node.heard[-1]["streams"] == ["spec"]


@pytest.mark.parametrize(
    ("change", "number"),
    [
        pytest.param({"CLBALANCE_JOB_ID": "-1"}, None, id="negative"),
        pytest.param({"CLBALANCE_JOB_ID": "9" * 5000}, None, id="huge"),
        pytest.param({"CLBALANCE_JOB_ID": 17}, None, id="no text"),
        pytest.param({"CLBALANCE_JOB_ID": "²"}, None, id="no digit"),
        pytest.param({}, None, id="missing"),
    ],
)
def test_a_number_that_is_none_is_unknown(change: dict[str, object], number: int | None) -> None:
    found = kept_spec(json.dumps({**SPEC, "env": change}).encode())
    assert found is not None
    assert found.number == number


@pytest.mark.parametrize("text", [b"", b"7", b"null", b'{"env": 3}', b'{"env": {}}', b"[" * 9999, b"\xff\xfe", b"{}"])
def test_what_is_no_spec_is_none(text: bytes) -> None:
    assert kept_spec(text) is None
