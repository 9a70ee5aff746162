"""Whether a job that is queued can ever be started: said only where it is certain."""

from dataclasses import replace

import pytest

from clbalance.model import Answer, Cause, NodeName, Request, Silent
from clbalance.policy.queue.never_held import unsatisfiable
from tests.policy.build import node


def silent(name: str, cause: Cause) -> Silent:
    return Silent(node=NodeName(name), cause=cause, reason="")


SMALL = (node("n1"), node("n2"))
NO_SUCH = silent("nosuch", Cause.DNS)

NEVER = [
    (SMALL, Request(cpus=99.0), "0/2 nodes are large enough: 2 too few cpus"),
    ((*SMALL, NO_SUCH), Request(cpus=4.5), "0/3 nodes are large enough: 2 too few cpus, 1 name not resolved"),
    ((NO_SUCH,), Request(), "0/1 nodes are large enough: 1 name not resolved"),
    ((node("n1"), NO_SUCH), Request(pick=2), "1/2 nodes are large enough, 2 wanted: 1 name not resolved"),
    (SMALL, Request(mem_bytes=10**6 + 1), "0/2 nodes are large enough: 2 too little memory"),
    (SMALL, Request(tmp_bytes=10**6 + 1), "0/2 nodes are large enough: 2 too little temporary space"),
    (SMALL, Request(gpus=1), "0/2 nodes are large enough: 2 too few GPUs"),
    ((NO_SUCH,), Request(pick=None), "0/1 nodes are large enough: 1 name not resolved"),
]


@pytest.mark.parametrize(("answers", "request_", "message"), NEVER)
def test_what_no_node_could_ever_hold_is_told_with_the_reasons(
    answers: tuple[Answer, ...], request_: Request, message: str
) -> None:
    assert unsatisfiable(answers, request_) == message


MAYBE = {
    "it is full now": ((node("n1", r1m=99.0), NO_SUCH), Request(cpus=4.0)),
    "it has all of it, and others use it": ((node("n1", mem=1.0),), Request(mem_bytes=10**6)),
    "it does not answer now": ((silent("n1", Cause.HUNG), NO_SUCH), Request(cpus=99.0)),
    "it does not tell how much it has": ((node("n1", cpus=None, gpus=None),), Request(cpus=99.0, gpus=9)),
    "nobody was asked": ((), Request(cpus=99.0)),
}


@pytest.mark.parametrize(("answers", "request_"), MAYBE.values(), ids=MAYBE.keys())
def test_nothing_is_said_where_one_may_hold_it_later(answers: tuple[Answer, ...], request_: Request) -> None:
    assert unsatisfiable(answers, request_) == ""


def test_a_node_that_is_excluded_by_name_counts_for_nothing() -> None:
    one = replace(Request(cpus=1.0), excluded=frozenset({NodeName("n1")}))
    assert unsatisfiable([node("n1")], one) == "0/1 nodes are large enough: 1 excluded"
