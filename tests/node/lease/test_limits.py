"""The text of limits, which of them apply to a user, and that jobs that keep to them never exceed them together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.node.agent.lease.limits import (
    NAMES,
    Held,
    LimitsError,
    excess,
    limits_for,
    parse_limits,
)


def texts(text: str, user: str = "alice", *groups: str) -> list[str]:
    return [f"{one.name}={one.text}" for one in limits_for(parse_limits(text), {user, "1001"}, set(groups))]


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("MaxJobs=3", 3), ("maxjobs=0", 0), ("MaxCpus=1.5", 1.5), ("MaxGpus=0.25", 0.25), ("MaxJobs=UNLIMITED", None),
        ("MaxMem=512m", 512 << 20), ("MaxMem=1.5T", 3 << 39), ("MaxWall=90m", 5400), ("MaxWall=1.5d", 129600),
        ("MaxWall=12:00:01", 43201), ("MaxWall=2-01:00:00", 176400),
    ],
)  # fmt: skip
def test_a_limit_is_read_as_slurm_and_our_options_write_it(text: str, most: float | None) -> None:
    (limit,) = parse_limits(f"  Default\t{text} # why\n\n")
    assert limit.most == most


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is empty, or its last line does not end"),
        ("Default MaxJobs=1", "it is empty, or its last line does not end"),
        ("Default\n", "line 1: no limit: MaxJobs,"),
        ("\nalice MaxJobs=1\n", "line 2: 'alice': begin with"),
        ("User= MaxJobs=1\n", "line 1: 'User=': begin with"),
        ("User=@ MaxJobs=1\n", "line 1: 'User=@': begin with"),
        ("User=a,,b MaxJobs=1\n", "line 1: 'User=a,,b': begin with"),
        ("Group=@a MaxJobs=1\n", "line 1: 'Group=@a': begin with"),
        ("User=a\x1b[2J MaxJobs=1\n", "line 1: 'User=a\\x1b[2J': begin with"),
        ("Default MaxJobs\n", "line 1: 'MaxJobs': the limits are"),
        ("Default MaxSubmit=1\n", "line 1: 'MaxSubmit=1': the limits are"),
        ("Default MaxJobs=-1\n", "line 1: MaxJobs needs a whole number, or `unlimited`, not '-1'"),
        ("Default MaxJobs=1.5\n", "line 1: MaxJobs needs a whole number"),
        ("Default MaxJobs=²\n", "line 1: MaxJobs needs a whole number"),
        ("Default MaxJobs=\n", "line 1: MaxJobs needs a whole number"),
        ("Default MaxCpus=nan\n", "line 1: MaxCpus needs a number"),
        ("Default MaxCpus=1e9\n", "line 1: MaxCpus needs a number"),
        ("Default MaxCpus=1.\n", "line 1: MaxCpus needs a number"),
        ("Default MaxMem=64\n", "line 1: MaxMem needs a size such as 64G"),
        ("Default MaxMem=G\n", "line 1: MaxMem needs a size such as 64G"),
        ("Default MaxWall=60\n", "line 1: MaxWall needs a time such as"),
        ("Default MaxWall=1:30\n", "line 1: MaxWall needs a time such as"),
        ("Default MaxJobs=1 MaxJobs=2\n", "line 1: MaxJobs of each user was set in line 1 before"),
        ("Default Nodes=n[1-4] MaxWall=1d\n", "line 1: 'MaxWall=1d': groups together, and MaxWall,"),
        ("Group=a Nodes=n[1-4] MaxJobs=1\n", "line 1: 'MaxJobs=1': groups together, and MaxWall,"),
        ("Default MaxJobs=1 Nodes=n\n", "line 1: 'Nodes=n': the limits are"),
        ("Default Nodes=a Nodes=b MaxJobs=1\n", "line 1: 'Nodes=b': the limits are"),
        ("Default Nodes= MaxJobs=1\n", "line 1: 'Nodes=': the limits are"),
        ("User=a,b MaxJobs=1\nUser=b MaxJobs=2\n", "line 2: MaxJobs of user b was set in line 1 before"),
    ],
)  # fmt: skip
def test_a_text_that_is_wrong_is_refused_with_its_line(text: str, why: str) -> None:
    with pytest.raises(LimitsError) as raised:
        parse_limits(text)
    assert str(raised.value).startswith(why)
    assert str(raised.value).isprintable()


@given(
    st.text(st.sampled_from("Default User=@aGroupMaxJobsMemWall1.5-:dG,# \n\t²\x00"), max_size=60)
    | st.text(max_size=60)
)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        limits = parse_limits(text + "\n")
    except LimitsError:
        return
    assert all(one.most is None or one.most >= 0 for one in limits)


RULES = """
Default MaxJobs=2 MaxCpus=8
User=@students MaxJobs=1
User=@night MaxJobs=3
User=alice MaxCpus=unlimited
Group=students MaxGpus=4
User=1001 MaxMem=1G
User=carol Nodes=n[1-4] MaxJobs=5
"""


@pytest.mark.parametrize(
    ("user", "groups", "found"),
    [
        pytest.param("bob", [], ["MaxJobs=2", "MaxCpus=8", "MaxMem=1G"], id="the default, and what names the uid"),
        pytest.param("bob", ["students"], ["MaxJobs=1", "MaxCpus=8", "MaxGpus=4", "MaxMem=1G"], id="a member"),
        pytest.param("bob", ["night", "students"], ["MaxJobs=1", "MaxCpus=8", "MaxGpus=4", "MaxMem=1G"], id="of two groups the lower"),
        pytest.param("carol", [], ["MaxJobs=2", "MaxJobs=5", "MaxCpus=8", "MaxMem=1G"], id="over a node set besides"),
        pytest.param("alice", [], ["MaxJobs=2", "MaxMem=1G"], id="one's own is closer than the default"),
    ],
)  # fmt: skip
def test_the_closest_limit_counts_and_those_of_groups_together_as_well(
    user: str, groups: list[str], found: list[str]
) -> None:
    assert texts(RULES, user, *groups) == found


@given(st.lists(st.sampled_from(RULES.strip().split("\n")), unique=True), st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter(lines: list[str], random: object) -> None:
    shuffled = lines.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    for groups in ([], ["students"], ["night", "students"]):
        assert sorted(texts("\n".join([*lines, ""]) or "\n", "alice", *groups)) == sorted(
            texts("\n".join([*shuffled, ""]) or "\n", "alice", *groups)
        )


@given(
    st.sampled_from([name for name in NAMES if name != "MaxWall"]),
    st.integers(0, 8),
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2)), max_size=12),
)
def test_jobs_that_are_let_in_one_by_one_never_exceed_a_limit_together(
    name: str, most: int, jobs: list[tuple[int, int, int]]
) -> None:
    (limit,) = parse_limits(f"Default {name}={most}{'G' if name == 'MaxMem' else ''}\n")
    running: list[Held] = []
    for cpus, gpus, mem_gib in jobs:
        asked = Held(1001, "", cpus, gpus, mem_gib << 30)
        used = sum(one.amounts[name] or 0 for one in running)
        wanted = asked.amounts[name] or 0
        if not excess(limit, asked, running):
            running.append(asked)
            assert used + wanted <= (limit.most or 0)
        else:
            assert used + wanted > (limit.most or 0) or wanted == 0, "no job is kept out without need"
