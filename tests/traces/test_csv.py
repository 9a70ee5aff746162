"""Nodes and jobs as CSV: what is read, and what is said of a line that cannot be."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import TraceError
from clbalance.model import Cpus, Memory
from clbalance.trace.csv_files import JOB_COLUMNS, NODE_COLUMNS, parse_jobs, parse_nodes

NODES = ",".join(NODE_COLUMNS)
JOBS = ",".join(JOB_COLUMNS)


def nodes(*lines: str) -> object:
    return parse_nodes("nodes.csv", [NODES, *lines])


def jobs(*lines: str) -> object:
    return parse_jobs("jobs.csv", [JOBS, *lines])


def test_a_node_is_as_large_as_told_and_empty() -> None:
    (one, two) = parse_nodes("n", [NODES, "n1,64,1024,2,A100,80", "", "n2,4,512,0,,"])
    assert isinstance(one.reading.cpus, Cpus)
    assert isinstance(one.reading.memory, Memory)
    assert (one.node, one.reading.cpus.online, one.reading.memory.available_bytes) == ("n1", 64, 1024)
    assert isinstance(one.reading.gpus, tuple)
    assert [(gpu.model, gpu.mem_total_bytes, gpu.mem_used_bytes) for gpu in one.reading.gpus] == [("A100", 80, 0)] * 2
    assert len({gpu.uuid for gpu in one.reading.gpus}) == 2
    assert two.reading.gpus == ()


def test_columns_may_come_in_any_order() -> None:
    (node,) = parse_nodes("n", ["cpus,name,gpus,gpu_model,mem_bytes,gpu_mem_bytes", "8,x,1,T4,9,"])
    assert node.node == "x"
    assert isinstance(node.reading.gpus, tuple)
    assert node.reading.gpus[0].mem_total_bytes == 0


def test_a_job_asks_for_what_its_line_says() -> None:
    whole, shared, cpu_only = parse_jobs(
        "j", [JOBS, "a,0,60,8,1024,2,1000,A100|H100", "b,1,,0.5,0,1,250,", "c,2,1.5,1,7,0,0,A100"]
    ).arrivals
    assert (whole.job, whole.submit_s, whole.duration_s, whole.estimate_s) == ("a", 0.0, 60.0, 60.0)
    assert (whole.request.cpus, whole.request.mem_bytes, whole.request.gpus) == (8.0, 1024, 2)
    assert whole.request.gpu_models == {"A100", "H100"}
    assert (shared.request.gpu_share, shared.duration_s, shared.estimate_s) == (0.25, None, None)
    assert (cpu_only.request.gpus, cpu_only.request.gpu_share, cpu_only.request.gpu_models) == (0, 1.0, frozenset())


def test_jobs_are_taken_in_the_order_of_submit() -> None:
    trace = parse_jobs("j", [JOBS, "a,5,,1,0,0,,", "b,1,,1,0,0,,", "c,5,,1,0,0,,"])
    assert [one.job for one in trace.arrivals] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("a,0,60,x,1,0,,", "jobs.csv:2: cpus is 'x'", id="no number"),
        pytest.param("a,0,60,-1,1,0,,", "jobs.csv:2: cpus is '-1'", id="below zero"),
        pytest.param("a,,60,1,1,0,,", "jobs.csv:2: submit_s is empty", id="empty"),
        pytest.param("a,nan,60,1,1,0,,", "jobs.csv:2: submit_s is 'nan'", id="not a number"),
        pytest.param("a,inf,60,1,1,0,,", "jobs.csv:2: submit_s is 'inf'", id="infinite"),
        pytest.param("a,1_0,60,1,1,0,,", "jobs.csv:2: submit_s is '1_0'", id="as Python writes it"),
        pytest.param("a,0,60,1,1,1.5,,", "jobs.csv:2: gpus is '1.5'", id="half a GPU"),
        pytest.param("a,0,60,1,1,2,500,", "jobs.csv:2: gpu_share is 500 of 2 GPUs", id="a share of two"),
        pytest.param("a,0,60,1,1,1,1500,", "jobs.csv:2: gpu_share is 1500 of 1 GPUs", id="more than a whole"),
        pytest.param("a,0,60,1,1,1,0,", "jobs.csv:2: gpu_share is 0 of 1 GPUs", id="no share"),
        pytest.param("a,0,60", "jobs.csv:2: 3 fields, where the heading has 8", id="too few fields"),
        pytest.param('a,0,"60,1,1,0,,', "jobs.csv:2: unexpected end of data", id="a quote that is not closed"),
    ],
)
def test_a_bad_line_of_jobs_is_told_with_its_place(line: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"^{message}") as caught:
        jobs(line)
    assert caught.value.hint
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("n1,4,1,0,,", "nodes.csv:3: there is a node n1 already", id="twice"),
        pytest.param("-oProxyCommand=x,4,1,0,,", "nodes.csv:3: '-oProxyCommand=x' is not a node name", id="no name"),
        pytest.param("n2,0,1,0,,", "nodes.csv:3: cpus is '0'", id="no cpus"),
        pytest.param("n2,4,0,0,,", "nodes.csv:3: mem_bytes is '0'", id="no memory"),
        pytest.param("n2,4,1,1,A100,many", "nodes.csv:3: gpu_mem_bytes is 'many'", id="no number"),
    ],
)
def test_a_bad_line_of_nodes_is_told_with_its_place(line: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"^{message}") as caught:
        nodes("n1,4,1,0,,", line)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("heading", "message"),
    [
        pytest.param("name,cpus", "nodes.csv:1: the heading has no column mem_bytes, no column gpus", id="missing"),
        pytest.param(NODES + ",rack", "nodes.csv:1: the heading has an unknown one, 'rack'", id="unknown"),
        pytest.param(NODES + ",name", "nodes.csv:1: the heading has a column twice", id="twice"),
    ],
)
def test_a_bad_heading_is_told_with_the_right_one(heading: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"^{message}") as caught:
        parse_nodes("nodes.csv", [heading])
    assert caught.value.hint == f"begin with {NODES}"


def test_a_file_without_nodes_is_told() -> None:
    with pytest.raises(TraceError, match=r"^nodes\.csv: there is no node in it"):
        nodes()
    with pytest.raises(TraceError, match=r"^nodes\.csv:1: the heading has no column name"):
        parse_nodes("nodes.csv", [])


numbers = st.floats(0.0, 1e9, allow_nan=False)


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8),
            numbers,
            st.none() | numbers,
            numbers,
            st.integers(0, 1 << 50),
            st.integers(1, 999),
        )
    )
)
def test_what_was_written_is_read(written: list[tuple[str, float, float | None, float, int, int]]) -> None:
    file = io.StringIO()
    out = csv.writer(file)
    out.writerow(JOB_COLUMNS)
    for name, submit_s, duration_s, cpus, mem_bytes, share in written:
        out.writerow([name, submit_s, "" if duration_s is None else duration_s, cpus, mem_bytes, 1, share, "A|B"])
    read = parse_jobs("j", io.StringIO(file.getvalue(), newline="")).arrivals
    expected = sorted(written, key=lambda line: line[1])
    assert [
        (one.job, one.submit_s, one.duration_s, one.request.cpus, one.request.mem_bytes, one.request.gpu_share)
        for one in read
    ] == [
        (name.strip(), submit, duration, cpus, mem, share / 1000)
        for name, submit, duration, cpus, mem, share in expected
    ]


@given(st.lists(st.text(max_size=30), max_size=4))
def test_whatever_stands_in_a_file_is_read_or_told(lines: list[str]) -> None:
    for parse, heading in ((parse_nodes, NODES), (parse_jobs, JOBS)):
        for text in (lines, [heading, *lines]):
            try:
                parse("file", text)
            except TraceError as error:
                parts = error.message, error.hint
            else:
                parts = "file:", "nothing"
            assert parts[0].startswith("file:")
            assert parts[1]
