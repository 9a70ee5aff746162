"""The Standard Workload Format: what is read, what is left out and counted, and what is said of a bad line."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import TraceError
from clbalance.trace.swf import parse_swf

KTH = Path(__file__).parent / "data" / "kth-sp2-first-jobs.swf"


def line(
    *,
    number: int = 1,
    submit: float = 0,
    run: float = 10,
    allocated: int = 4,
    requested: int = 4,
    asked: float = 60,
    status: int = 1,
) -> str:
    return f"{number} {submit} 0 {run} {allocated} -1 -1 {requested} {asked} -1 {status} 7 7 -1 -1 -1 -1 -1"


def test_a_real_log_is_read() -> None:
    log = parse_swf(KTH.name, KTH.read_text().splitlines(keepends=True))
    assert log.processors == 100
    assert len(log.trace.arrivals) == 43
    first = log.trace.arrivals[0]
    assert (first.job, first.submit_s, first.duration_s, first.estimate_s) == ("1", 0.0, 97225.0, 210000.0)
    assert (first.request.pick, first.request.cpus) == (56, 1.0)
    assert log.trace.remarks == (
        "3 jobs cut to the time that was asked for",
        "2 jobs without a run time left out",
    )


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        pytest.param({}, (4, 10.0, 60.0), id="as it stands"),
        pytest.param({"requested": -1}, (4, 10.0, 60.0), id="what was allocated where nothing was requested"),
        pytest.param({"requested": 2}, (2, 10.0, 60.0), id="what was requested, not what was allocated"),
        pytest.param({"run": 100}, (4, 60.0, 60.0), id="it ends when its time is over"),
        pytest.param({"asked": -1}, (4, 10.0, 10.0), id="its run time where no time was asked for"),
        pytest.param({"run": 0.5}, (4, 0.5, 60.0), id="less than a second"),
    ],
)
def test_one_that_ran_is_kept(changed: dict[str, float], expected: tuple[int, float, float]) -> None:
    (one,) = parse_swf("f", [line(**changed)]).trace.arrivals  # type: ignore[arg-type]  # as given
    assert (one.request.pick, one.duration_s, one.estimate_s) == expected


@pytest.mark.parametrize("changed", [{"run": 0}, {"run": -1}, {"submit": -1}, {"allocated": -1, "requested": 0}])
def test_one_that_did_not_run_is_left_out_and_counted(changed: dict[str, float]) -> None:
    trace = parse_swf("f", [line(**changed), line(number=2)]).trace  # type: ignore[arg-type]  # as given
    assert [one.job for one in trace.arrivals] == ["2"]
    assert trace.remarks[0].startswith("1 job without")


@pytest.mark.parametrize(
    ("headers", "processors"),
    [
        pytest.param(["; MaxNodes: 8", ";MaxProcs: 100"], 100, id="processors before nodes"),
        pytest.param(["; MaxNodes: 8"], 8, id="nodes where there is nothing else"),
        pytest.param(["; MaxProcs: -1", "; MaxNodes: 8 (of them 2 wide)"], 8, id="unknown is none"),
        pytest.param([], None, id="nothing is said"),
        pytest.param(["; MaxProcs: 9,216"], 9216, id="thousands apart"),
        pytest.param(["; MaxProcs: 1,572,864, of two threads each"], 1572864, id="thousands apart, and a comma"),
        pytest.param([";maxprocs:100."], 100, id="other letters"),
        pytest.param(["; MaxProcs: 0", "; MaxNodes: 8"], 8, id="none is unknown"),
        pytest.param(["; MaxNodes: 8x4", "; MaxProcs: 32"], 32, id="what is not needed may be unreadable"),
    ],
)
def test_headers_say_how_many_processors_there_are(headers: list[str], processors: int | None) -> None:
    assert parse_swf("f", [*headers, "", line()]).processors == processors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("1 2 3", "f.swf:2: 3 fields, where the Standard Workload Format has 18", id="too few"),
        pytest.param(line() + " 9", "f.swf:2: 19 fields", id="too many"),
        pytest.param(line().replace("60", "1h"), "f.swf:2: field 9 is '1h'", id="no number"),
        pytest.param(line().replace("60", "nan"), "f.swf:2: field 9 is 'nan'", id="not a number"),
    ],
)
def test_a_bad_line_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(TraceError, match=f"^{message}") as caught:
        parse_swf("f.swf", ["; MaxProcs: 4", text])
    assert caught.value.hint


@pytest.mark.parametrize("text", ["99999999999", "9.216", "9,21", "8x4", pytest.param(5000 * "1", id="5,000 digits")])
def test_a_header_that_is_no_number_of_processors_is_told_with_its_place(text: str) -> None:
    with pytest.raises(TraceError, match=f"^f:2: MaxProcs is '{text[:40]}'"):
        parse_swf("f", ["; Version: 2", f"; MaxProcs: {text}", "; MaxNodes: 8"])


def test_bursts_of_a_job_are_that_job() -> None:
    trace = parse_swf(
        "f",
        [
            line(number=1, submit=5, run=30, status=1),
            line(number=1, submit=5, run=10, status=2),
            line(number=1, submit=-1, run=20, status=3),
            line(number=2, submit=7, run=9, status=0),
            line(number=2, submit=7, run=9, status=4),
            line(number=3, submit=9),
        ],
    ).trace
    assert [(one.job, one.submit_s, one.duration_s) for one in trace.arrivals] == [
        ("1", 5, 30),
        ("2", 7, 9),
        ("3", 9, 10),
    ]
    assert trace.remarks == ("2 jobs with several bursts counted once",)


def test_bursts_without_a_line_that_sums_them_up_are_added_up() -> None:
    trace = parse_swf(
        "f",
        [
            line(number=1, submit=5, run=10, status=2),
            line(number=2, submit=5),
            line(number=1, submit=-1, run=20, status=2),
            line(number=1, submit=-1, run=-1, status=4),
            line(number=3, submit=5, status=3),
            line(number=4, submit=5),
        ],
    ).trace
    assert [(one.job, one.submit_s, one.duration_s) for one in trace.arrivals] == [
        ("1", 5, 30),
        ("2", 5, 10),
        ("3", 5, 10),
        ("4", 5, 10),
    ], "jobs of the same time keep the order of the lines"
    assert trace.remarks == ("1 job with several bursts counted once",)


def test_jobs_out_of_order_are_sorted() -> None:
    trace = parse_swf("f", [line(number=1, submit=9), line(number=2, submit=4), line(number=3, submit=9)]).trace
    assert [one.job for one in trace.arrivals] == ["2", "1", "3"]
    assert trace.remarks == ()


@given(st.lists(st.lists(st.integers(-2, 10**6), min_size=18, max_size=18), max_size=8))
def test_every_line_of_numbers_is_a_job_or_counted(rows: list[list[int]]) -> None:
    # No bursts: several lines of them may be one job.
    trace = parse_swf("f", [" ".join(map(str, [*row[:10], 1, *row[11:]])) for row in rows]).trace
    left_out = sum(int(remark.split()[0]) for remark in trace.remarks if remark.endswith("left out"))
    assert len(trace.arrivals) + left_out == len(rows)
    for one in trace.arrivals:
        assert one.duration_s is not None
        assert one.estimate_s is not None
        assert 0 < one.duration_s <= one.estimate_s
    assert [one.submit_s for one in trace.arrivals] == sorted(one.submit_s for one in trace.arrivals)


@given(st.lists(st.text(max_size=40), max_size=4))
def test_whatever_stands_in_a_file_is_read_or_told(lines: list[str]) -> None:
    try:
        parse_swf("file", lines)
    except TraceError as error:
        message = error.message
    else:
        message = "file:"
    assert message.startswith("file:")
