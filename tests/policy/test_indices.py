"""The table of load indices: what every row promises, and those that read rows."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby

import pytest

from clbalance.model import Unknown
from clbalance.policy import indices
from clbalance.policy.index import AnsweredNode, Index, Unit
from clbalance.policy.indices import GPU_SERIES, INDICES, NODE_SERIES

from .build import NOT_TOLD, node

VAGUE = node("n", r1m=None, cpus=None, mem=None, ut=None, tmp=None, psi=None, leases=None)
VAGUE = replace(VAGUE, reading=replace(VAGUE.reading, logins=NOT_TOLD))
ROWS = [pytest.param(index, id=index.name) for index in INDICES]


def unique(names: Iterable[str]) -> bool:
    told = list(names)
    return len(told) == len(set(told))


def test_no_name_and_no_key_stands_for_two() -> None:
    assert unique(index.name for index in INDICES)
    assert unique(index.json for index in INDICES if index.json)
    assert unique(index.threshold.key for index in INDICES if index.threshold)
    assert unique(series.key for series in NODE_SERIES)
    assert unique(series.name for series in (indices.ANSWERS, *NODE_SERIES, *GPU_SERIES))
    assert unique(f"{index.metric.name} {index.metric.labels}" for index in INDICES if index.metric)


def test_indices_that_share_a_column_stand_side_by_side_and_those_that_share_a_metric_too() -> None:
    assert unique(heading for heading, _ in groupby(index.column and index.column.heading for index in indices.COLUMNS))
    assert unique(name for name, _ in groupby(index.metric and index.metric.name for index in indices.METRICS))


@pytest.mark.parametrize("order", ["EXPRESSIONS", "COLUMNS", "THRESHOLDS", "HISTORY", "METRICS", "PLAIN"])
def test_an_order_has_every_index_once_that_appears_there(order: str) -> None:
    assert unique(index.name for index in getattr(indices, order))


@pytest.mark.parametrize("index", ROWS)
def test_what_is_not_known_is_unknown_in_every_way_it_is_read_and_never_a_zero(index: Index) -> None:
    ways = (index.read, index.effective, index.whole, index.share, index.level, index.kept)
    told = [read(AnsweredNode.of(VAGUE)) for read in ways if read]
    assert all(isinstance(value, Unknown) for value in told), told


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
