"""A node is drained when nothing is known to be left on it and nothing new will come."""

import pytest

from clbalance.model import NodeName
from clbalance.policy.drain_progress import DrainProgress, drain_progress, is_over

from .build import ME, drain, lease, node, silent

N = NodeName("n")
MARK = (drain(),)


@pytest.mark.parametrize(
    ("answer", "drained", "over"),
    [
        pytest.param(node("n", drains=MARK), True, True, id="marked and empty"),
        pytest.param(node("n", drains=MARK, leases=(lease(),)), False, False, id="somebody's job is left"),
        pytest.param(node("n", drains=MARK, leases=None), False, False, id="unknown leases may be held"),
        pytest.param(silent("n"), False, False, id="a silent node may hold anything"),
        pytest.param(node("n"), False, True, id="without a mark nothing is waited for"),
    ],
)
def test_a_node_is(answer: object, drained: bool, over: bool) -> None:
    one = drain_progress(answer)  # type: ignore[arg-type]
    assert (one.is_drained, is_over([one])) == (drained, over)


def test_our_own_jobs_are_told_from_others() -> None:
    hers, mine = lease(), lease(uid=ME)
    assert drain_progress(node("n", drains=MARK, leases=(hers, mine))) == DrainProgress(
        node=N, own=(mine,), others=(hers,)
    )
