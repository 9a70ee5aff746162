"""The table of load indices: what every row promises, and those that read rows."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import pytest

from clbalance.model import Unknown
from clbalance.policy.expressions.values import Subject
from clbalance.policy.expressions.where import parse_order, parse_where, place_by
from clbalance.policy.indices import table
from clbalance.policy.indices.row import AnsweredNode, Index, Unit
from clbalance.policy.indices.table import GPU_SERIES, INDICES, NODE_SERIES
from clbalance.policy.node_memory import node_sample
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds
from tests.policy.build import NOT_TOLD, node, placed, sweep

VAGUE = node("n", r1m=None, cpus=None, mem=None, ut=None, tmp=None, psi=None, leases=None)
VAGUE = replace(VAGUE, reading=replace(VAGUE.reading, logins=NOT_TOLD, drains=NOT_TOLD, gpus=NOT_TOLD))
ROWS = [pytest.param(index, id=index.name) for index in INDICES]


def unique(names: Iterable[str]) -> bool:
    parts = list(names)
    return len(parts) == len(set(parts))


def test_no_name_and_no_key_stands_for_two() -> None:
    assert unique(index.name for index in INDICES)
    assert unique(index.json for index in INDICES if index.json)
    assert unique(index.threshold.key for index in INDICES if index.threshold)
    assert unique(series.key for series in NODE_SERIES)
    assert unique(series.name for series in (table.ANSWERS, *NODE_SERIES, *GPU_SERIES))
    assert unique(f"{index.metric.name} {index.metric.labels}" for index in INDICES if index.metric)


def test_indices_that_share_a_column_stand_side_by_side_and_those_that_share_a_metric_too() -> None:
    assert unique(heading for heading, _ in groupby(index.column and index.column.heading for index in table.COLUMNS))
    assert unique(name for name, _ in groupby(index.metric and index.metric.name for index in table.METRICS))


@pytest.mark.parametrize("order", ["EXPRESSIONS", "COLUMNS", "THRESHOLDS", "HISTORY", "METRICS", "PLAIN"])
def test_an_order_has_every_index_once_that_appears_there(order: str) -> None:
    assert unique(index.name for index in getattr(table, order))


@pytest.mark.parametrize("index", ROWS)
def test_what_is_not_known_is_unknown_in_every_way_it_is_read_and_never_a_zero(index: Index) -> None:
    ways = (index.read, index.effective, index.whole, index.share, index.level, index.kept)
    parts = [read(AnsweredNode.of(VAGUE)) for read in ways if read]
    assert all(isinstance(value, Unknown) for value in parts), parts


@pytest.mark.parametrize("index", ROWS)
def test_keys_have_their_unit_in_them(index: Index) -> None:
    ends = {
        Unit.PERCENT: ("_pct",), Unit.BYTES: ("_bytes",), Unit.PER_CPU: ("_per_cpu",), Unit.KIB_PER_S: ("_per_s",),
        Unit.PROCESSES: ("",), Unit.COUNT: ("",),
    }  # fmt: skip
    assert index.json == "" or index.json.endswith(ends[index.unit])
    for key in (index.threshold and index.threshold.key, index.history and index.history.key):
        unit = index.series.unit if index.history and key == index.history.key else index.level_unit
        assert key is None or key.endswith(ends[unit])


TRAFFIC = ("io", "net")


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_is_compared_and_ordered_in_kib_per_second(name: str) -> None:
    busy, quiet, vague = node("b", **{name: 123456.0}), node("q", **{name: 3.5}), node("v")  # type: ignore[arg-type]
    assert parse_where(f"{name} < 1000").unmet(quiet) is None
    unmet = parse_where(f"{name} < 1000").unmet(busy)
    assert unmet is not None
    assert unmet.detail == f"{name} is 123456", "with all its digits"
    unknown = parse_where(f"not ({name} > 1000)").unmet(vague)
    assert unknown is not None
    assert unknown.reason == f"{name} unknown", "never a disk or a network at rest"
    places = [place_by(parse_order(name), [Subject(answer)], 0).sort_by for answer in (quiet, busy, vague)]
    assert places == sorted(places)


@pytest.mark.parametrize(("name", "words"), [("io", "disk traffic"), ("net", "network traffic")])
def test_a_node_with_more_traffic_than_the_threshold_takes_no_more_work(name: str, words: str) -> None:
    policy = Policy(thresholds=Thresholds(**{f"{name}_kib_per_s": 20000.0}))
    answers = [node("b", **{name: 30000.4}), node("q", **{name: 20000.0}), node("v")]  # type: ignore[arg-type]
    plan = placed(sweep(*answers), policy=policy)
    assert plan.chosen == ("q",)
    assert {unfit.node: (unfit.reason, unfit.detail) for unfit in plan.unfit} == {
        "b": (f"{words} above 20000 KiB/s", f"{words} is 30000 KiB/s"),
        "v": (f"{words} unknown", f"{words} unknown: not told"),
    }


def test_a_threshold_that_there_is_not_is_refused() -> None:
    with pytest.raises(TypeError, match="no threshold is called nosuch_pct"):
        Thresholds(nosuch_pct=1.0)


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_is_kept_in_history_where_it_is_known(name: str) -> None:
    key = f"{name}_kib_per_s"
    known, unknown = node_sample(node("n", **{name: 7.5})), node_sample(node("n"))  # type: ignore[arg-type]
    assert known is not None
    assert unknown is not None
    assert known.values[key] == 7.5
    assert key not in unknown.values
