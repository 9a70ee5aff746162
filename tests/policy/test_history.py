"""History as lines and cells: nothing is drawn that was not seen, and what was seen is drawn."""

from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.node_history import Aggregate, SeriesPoint
from clbalance.policy.history import Axis, axis_of, cells_of, series_of


def point(
    at_s: int, ut: float | None = None, *, span_s: int = 60, asked: int = 1, silent: int = 0, **gpus: float
) -> SeriesPoint:
    return SeriesPoint(
        at_s=at_s,
        span_s=span_s,
        asked=asked,
        silent=silent,
        values={} if ut is None else {"ut_pct": Aggregate(ut - 1, ut, ut + 1)},
        gpus={int(name[1:]): {"use_pct": Aggregate(value, value, value)} for name, value in gpus.items()},
    )


def told(points: list[SeriesPoint], axis: Axis, name: str = "ut") -> str:
    (line,) = series_of(points, frozenset({name}))
    return "".join(
        "x" if cell.is_silent else " " if cell.value is None else str(round(cell.value / 10))
        for cell in cells_of(line, axis)
    )


TEN = Axis(since_s=0, step_s=60, cells=10)


def test_a_line_is_there_for_each_index_of_which_anything_is_known() -> None:
    lines = series_of([point(0), point(60, 5.0, g0=1.0, g3=2.0)])
    assert [(line.index.name, line.gpu) for line in lines] == [("up", None), ("ut", None), ("gut", 0), ("gut", 3)]
    assert series_of([]) == ()


def test_only_the_lines_that_were_asked_for_are_there() -> None:
    lines = series_of([point(0, 5.0, g0=1.0)], frozenset({"gut", "up"}))
    assert [line.index.name for line in lines] == ["up", "gut"]


def test_what_was_not_asked_is_empty_and_what_was_not_answered_is_marked() -> None:
    points = [point(0, 10.0), point(120, asked=1, silent=1), point(300, 50.0, asked=2, silent=1), point(540, 90.0)]
    assert told(points, TEN) == "1 x  5   9"
    assert told(points, TEN, "up") == "10 x  x   10", "one silence in two is marked where answers are told"


def test_a_long_span_stands_in_all_its_columns_and_many_short_ones_are_their_mean() -> None:
    assert told([point(0, 30.0, span_s=600, asked=9)], TEN) == "3" * 10
    assert told([point(0, 10.0), point(20, 20.0), point(40, 90.0)], Axis(since_s=0, step_s=60, cells=1)) == "4"


def test_means_count_looks_and_not_spans() -> None:
    (line,) = series_of([point(0, 10.0, asked=3), point(60, 50.0)], frozenset({"ut"}))
    assert (line.total, line.last) == (Aggregate(9.0, 20.0, 51.0), 50.0)


def test_the_share_of_answers_is_over_all_times_asked() -> None:
    (line,) = series_of([point(0, 1.0, asked=9), point(60, asked=1, silent=1)], frozenset({"up"}))
    assert (line.total, line.last) == (Aggregate(0.0, 90.0, 100.0), 0.0)


def test_columns_are_no_shorter_than_nodes_were_asked() -> None:
    lines = series_of([point(at, 1.0) for at in range(0, 3600, 300)])
    axis = axis_of(lines, 0, 3600, 60)
    assert (axis.step_s, axis.cells, axis.since_s) == (360.0, 10, 0)
    assert axis_of(lines, 0, 36000, 60).cells == 60
    assert " " not in told([point(at, 1.0) for at in range(0, 3600, 300)], axis)
    assert axis_of([], 0, 3600, 60).cells == 60
    assert axis_of(lines, 0, 5, 60).cells == 1


@given(
    st.lists(
        st.tuples(st.integers(0, 9000), st.booleans()), min_size=1, max_size=50, unique_by=lambda one: one[0] // 60
    ),
    st.integers(1, 100),
)
def test_every_look_in_time_is_drawn_and_nothing_else(samples: list[tuple[int, bool]], width: int) -> None:
    points = [point(at_s // 60 * 60, None if silent else 50.0, silent=int(silent)) for at_s, silent in sorted(samples)]
    lines = series_of(points, frozenset({"ut"}))
    if not lines:
        assert all(silent for _, silent in samples)
        return
    axis = axis_of(lines, 0, 9060, width)
    cells = cells_of(lines[0], axis)
    assert len(cells) == axis.cells <= width
    assert {cell.value for cell in cells} <= {None, 50.0}
    drawn = sum(cell.value is not None or cell.is_silent for cell in cells)
    within = {int((one.at_s - axis.since_s) // axis.step_s) for one in points if one.at_s >= axis.since_s}
    assert drawn == len(within)
