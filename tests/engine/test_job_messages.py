"""What a node says of the usage of an ended job: the job itself can write there."""

import pytest

from clbalance.engine.agent.job_messages import usage_at_end
from clbalance.model.job_record import FinalUsage

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
