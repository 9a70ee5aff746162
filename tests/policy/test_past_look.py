"""What history keeps of an answer: what was known, that a node was silent, and nothing of a failure of our own."""

from dataclasses import replace

from clbalance.model import Allocation, Cause, Lease, NodeName, Rates, Silent, Unknown
from clbalance.model.node_history import LeasedUse, NodeSample
from clbalance.policy.node_memory import node_sample
from tests.render.build import GIB, gpu, measured

LEASE = Lease(key="k", attempt=1, uid=1, allocation=Allocation(cpus=16.0, uptime_s=86400.0))


def test_an_answer_is_kept_by_its_indices() -> None:
    message = node_sample(measured("n", r1m=8.0, gpus=[gpu(used_gib=40, use_pct=98.0)], leases=[LEASE]))
    assert message == NodeSample(
        answered=True,
        values={
            "r1m_per_cpu": 0.25,
            "load_per_cpu": 0.75,  # what was promised just now does not show yet
            "ut_pct": 12.3,
            "io_kib_per_s": 1e6 / 1024,
            "net_kib_per_s": 2e3 / 1024,
            "mem_available_pct": 80.0,
            "psi_cpu_pct": 1.4,
            "psi_mem_pct": 0.0,
            "psi_io_pct": 12.0,
            "tmp_free_pct": 40.0,
            "leases": 1.0,
            "cpus": 32.0,
            "gpus": 1.0,
            "leased_cpus": 16.0,
            "drained_pct": 0.0,
        },
        gpus=({"use_pct": 98.0, "mem_pct": 100.0 * 40 * GIB / (80 * GIB), "leased_pct": 0.0, "idle_pct": 0.0},),
        leases=(LeasedUse(key="k", uid=1, cpus=16.0),),
    )


def test_what_is_unknown_is_left_out_and_never_a_zero() -> None:
    unknown = Unknown(reason="it hangs")
    message = node_sample(
        measured("n", run_queue=unknown, pressure=unknown, leases=unknown, gpus=[gpu(use_pct=unknown)], memory=unknown,
                 rates=unknown)  # type: ignore[arg-type]  # as a Rates would be
    )  # fmt: skip
    assert message is not None
    assert set(message.values) == {"tmp_free_pct", "cpus", "gpus", "drained_pct"}
    assert message.leases is None
    assert message.gpus == ({"mem_pct": 0.0},)


def test_a_silent_node_is_kept_as_silent_and_our_own_failure_not_at_all() -> None:
    silent = Silent(node=NodeName("n"), cause=Cause.HUNG, reason="")
    assert node_sample(silent) == NodeSample(answered=False)
    assert node_sample(Silent(node=NodeName("n"), cause=Cause.LOCAL, reason="no ssh program")) is None


def test_gpus_that_are_not_known_are_none() -> None:
    message = node_sample(measured("n", gpus=Unknown(reason="nvidia-smi hung"), rates=Rates(
        span_s=1.0, ut_pct=1.0, disk_bytes_per_s=1.0, net_bytes_per_s=1.0)))  # fmt: skip
    assert message is not None
    assert message.gpus == ()


def test_a_node_of_which_nothing_is_known_has_answered_all_the_same() -> None:
    hangs = Unknown(reason="it hangs")
    answer = measured("n")
    sections = dict.fromkeys(("run_queue", "cpus", "memory", "pressure", "tmp", "leases", "drains", "gpus"), hangs)
    reading = replace(answer.reading, **sections)
    assert node_sample(replace(answer, reading=reading, rates=hangs)) == NodeSample(answered=True)
