"""The one word that `load` says of a node."""

from dataclasses import replace

import pytest

from clbalance.model import Answer, Cause, NodeName
from clbalance.model.slurm import SlurmNode
from clbalance.policy.placement.explain import NodeState, node_state
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import NOW, lease, node, placed, silent, sweep


@pytest.mark.parametrize(
    ("answer", "state", "reason", "violated"),
    [
        pytest.param(node("n"), "up", None, set(), id="an idle node is up"),
        pytest.param(node("n", ut=None, psi=None), "up", None, set(), id="what has no limit need not be known"),
        pytest.param(node("n", r1m=9.0), "busy", "load is 2.25 per cpu", {"r1m"}, id="past its run queue: busy"),
        pytest.param(
            node("n", r1m=9.0, mem=2.0),
            "busy",
            "load is 2.25 per cpu, available memory is 2%",
            {"r1m", "mem"},
            id="each index past its limit is named",
        ),
        pytest.param(
            node("n", r1m=9.0, tmp=None), "busy", "load is 2.25 per cpu", {"r1m"}, id="busy is surer than unknown"
        ),
        pytest.param(
            node("n", tmp=None),
            "unknown",
            "free tmp unknown: not told",
            set(),
            id="a limit that cannot be told is not busy",
        ),
        pytest.param(
            node("n", r1m=None), "unknown", "load unknown: run queue: not told", set(), id="no load, no state"
        ),
        *(
            pytest.param(
                replace(
                    node("n", leases=held), slurm=SlurmNode(node=NodeName("n"), state=base, flags=frozenset(flags))
                ),
                state,
                f"Slurm: {'+'.join((base, *flags))}",
                set(),
                id=f"{base} {' '.join(flags)} in Slurm{' and a job of ours' if held else ''}: {state}",
            )
            for base, flags, held, state in (
                ("IDLE", ("DRAIN",), (), "drained"),
                ("MIXED", ("DRAIN",), (), "draining"),
                ("IDLE", ("DRAIN",), (lease(),), "draining"),
                ("IDLE", ("FAIL",), (), "unfit"),
                ("DOWN", (), (), "unfit"),
            )
        ),
        pytest.param(silent("n"), "unknown", "hung: no answer in 5 s", set(), id="a hung node may be anything"),
        pytest.param(silent("n", reason=""), "unknown", "hung", set(), id="without words the cause is the reason"),
        *(
            pytest.param(silent("n", cause, ""), "down", cause.value, set(), id=f"{cause.value}: down")
            for cause in (Cause.DNS, Cause.UNREACHABLE, Cause.REFUSED)
        ),
    ],
)
def test_a_node_is(answer: Answer, state: str, reason: str | None, violated: set[str]) -> None:
    condition = node_state(answer, Thresholds(tmp_free_pct=1.0), NOW)
    assert (condition.state.value, condition.reason, set(condition.violated)) == (state, reason, violated)


@pytest.mark.parametrize(
    "answer",
    [
        node("n"),
        node("n", r1m=9.0),
        node("n", mem=None),
        node("n", mem=1.0),
        replace(node("n"), slurm=SlurmNode(node=NodeName("n"), state="DOWN")),
        silent("n"),
    ],
)
def test_exactly_the_nodes_that_are_up_are_placed_on(answer: Answer) -> None:
    is_up = node_state(answer, Thresholds(), NOW).state is NodeState.UP
    assert bool(placed(sweep(answer)).chosen) is is_up
