"""What nodes are told of jobs, and what they say of ended ones: the job itself can write there."""

import pytest

from clbalance.engine.agent.job_messages import holding_spec, usage_at_end
from clbalance.model.job_record import FinalUsage
from tests.engine.services import job

TOLD = {"user_s": 1.5, "system_s": 0.5, "max_rss_bytes": 4096}


def test_usage_is_read() -> None:
    usage = usage_at_end({**TOLD, "later": 1})
    assert usage == FinalUsage(user_s=1.5, system_s=0.5, max_rss_bytes=4096)
    assert usage is not None
    assert usage.cpu_s == 2.0


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "much",
        {},
        {**TOLD, "user_s": -1},
        {**TOLD, "user_s": "1"},
        {**TOLD, "system_s": 1e300},
        {**TOLD, "max_rss_bytes": 1.5},
        {**TOLD, "max_rss_bytes": -1},
        {**TOLD, "max_rss_bytes": 10**30},
    ],
    ids=repr,
)
def test_nonsense_is_no_usage(told: object) -> None:
    assert usage_at_end(told) is None


@pytest.mark.parametrize(
    ("limit_s", "text"), [(None, "while :; do sleep 86400; done"), (90.5, "exec sleep 96")], ids=["for ever", "limited"]
)
def test_a_copy_that_holds_its_node_past_the_time_limit_has_not_failed(limit_s: float | None, text: str) -> None:
    """Nobody may have looked since the job was over on its first node: then the hold ends by itself, with 0."""
    spec = holding_spec(job(time_limit_s=limit_s))
    assert (spec["argv"], spec.get("time_limit_s")) == (["/bin/sh", "-c", text], None)
