"""Which words name jobs of others, which jobs they mean, and that a job is always one of one owner."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Allocation, Lease, NodeName
from clbalance.policy.jobs.leased import (
    JobName,
    LeasedCopy,
    LeasedJob,
    addressable,
    cancel_reason,
    drained_reason,
    ends_the_job,
    job_name,
    leased_jobs,
    owners_named,
)
from tests.policy.build import node, sweep

KEY = "0123456789abcdef" * 2
NAMES = {2001: "alice", 2002: "bob", 2003: "2001"}


def name_of(uid: int) -> str:
    return NAMES.get(uid, str(uid))


def job(uid: int, key: str = KEY, *, login: int | None = 0, claim: int = 1) -> LeasedJob:
    lease = Lease(key=key, attempt=claim, uid=uid, allocation=Allocation())
    copy = LeasedCopy(node=NodeName("n1"), lease=lease, boot_id="", login=login, age_s=0.0)
    return LeasedJob(key=key, uid=uid, copies=(copy,))


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("alice/0123456789ab", JobName(user="alice", key="0123456789ab")),
        ("2001/0123456789ab", JobName(user="2001", key="0123456789ab")),
        ("alice/12345678", JobName(user="alice", key="12345678")),
        (f"alice/{KEY}", JobName(user="alice", key=KEY)),
        (KEY, JobName(key=KEY)),
        ("alice/17@login1", JobName(user="alice", number=17, host="login1")),
        ("a.b-c$/17@login1.example.org", JobName(user="a.b-c$", number=17, host="login1.example.org")),
    ],
)
def test_a_job_of_others_is_named_by_its_owner_or_its_whole_key(word: str, meant: JobName) -> None:
    assert job_name(word) == meant


@pytest.mark.parametrize(
    "word",
    [
        *("17", "3-7", "last", "train", "12345678", "0123456789ab", "deadbeef"),
        *("alice/", "alice/17", "/17@login1", "alice/17@", "alice/17@-o", "-l/17@h", "alice/x@h", "alice/0123"),
        *("alice/../17@h", "alice/17@h/x", "alice /17@h", "alice/17@h\n", "alice/0123456789AB", "", "/", "a/b/c"),
    ],
)
def test_any_other_word_means_ones_own_jobs_or_none(word: str) -> None:
    assert job_name(word) is None


@given(st.integers(min_value=0))
def test_a_bare_number_is_never_another_users_job(number: int) -> None:
    assert job_name(str(number)) is None or len(str(number)) == 32


def test_a_name_means_jobs_of_that_owner_only() -> None:
    jobs = [job(2001), job(2002)]
    by_owner = {
        user: [one.uid for one in jobs if JobName(user=user, key=KEY[:12]).may_be(one, name_of)]
        for user in ("alice", "bob", "2001", "root", "")
    }
    assert by_owner == {"alice": [2001], "bob": [2002], "2001": [2001], "root": [], "": []}
    assert [one.uid for one in jobs if JobName(key=KEY).may_be(one, name_of)] == [2001, 2002]


def test_a_user_whose_name_is_anothers_uid_makes_it_two_jobs_and_no_guess() -> None:
    jobs = [job(2001), job(2003)]
    assert [one.uid for one in jobs if JobName(user="2001", key=KEY).may_be(one, name_of)] == [2001, 2003]
    assert owners_named(jobs, name_of) == "alice/0123456789ab, 2001/0123456789ab"


def test_leases_of_two_owners_with_one_key_are_two_jobs() -> None:
    leases = tuple(Lease(key=KEY, attempt=1, uid=uid, allocation=Allocation()) for uid in (2001, 2002))
    found = leased_jobs(sweep(node("n1", leases=leases), node("n2", leases=leases[:1])).answers)
    assert {one.uid: one.nodes for one in found} == {2001: ("n1", "n2"), 2002: ("n1",)}


@pytest.mark.parametrize(
    ("login", "allowed"), [(0, True), (2001, True), (None, True), (2002, False)], ids=["root", "owner", "?", "other"]
)
def test_only_root_and_the_owner_may_touch_it(login: int | None, allowed: bool) -> None:
    """Where our own uid is not known, the node's agent decides."""
    assert (job(2001, login=login).forbidden_on is None) == allowed


@pytest.mark.parametrize(("key", "claim"), [("x" * 32, 1), (KEY[:31], 1), (KEY, 0), (KEY, 1_000_000)])
def test_what_no_agent_would_name_is_no_job_to_visit(key: str, claim: int) -> None:
    assert addressable([job(2001, key, claim=claim)]) == ()
    assert addressable([job(2001)]) == (job(2001),)


def test_a_lease_that_no_agent_would_name_hides_no_other_of_its_job() -> None:
    forged = job(2001, claim=0).copies
    assert addressable([replace(job(2001), copies=(*forged, *job(2001).copies))]) == (job(2001),)


def test_a_controller_tells_a_cancelled_job_from_a_drained_node() -> None:
    assert ends_the_job(cancel_reason("root", "ops", "login2"))
    assert not ends_the_job(drained_reason("node[1-3]", "(disk)"))
    assert not ends_the_job("cancelled by ann")
    assert not ends_the_job("its controller died")
