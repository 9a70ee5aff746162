"""Bands of load, and which nodes stand together in a map."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.model import NodeName, Unknown
from clbalance.natural_order import natural_order
from clbalance.policy.heat import ALONE, Band, band_of, by_label, by_name, name_pattern
from tests.render.build import drained, measured, silent


def _names(*names: str) -> list[NodeName]:
    return [NodeName(name) for name in names]


@pytest.mark.parametrize(
    ("r1m", "band"),
    [
        (0.0, Band.IDLE),
        (3.19, Band.IDLE),
        (3.2, Band.LIGHT),
        (16.0, Band.HALF),
        (25.6, Band.HIGH),
        (32.0, Band.FULL),
        (float("inf"), Band.FULL),
    ],
)
def test_the_load_of_a_cpu_has_a_band(r1m: float, band: Band) -> None:
    assert band_of(measured("n", r1m=r1m, cpus=32), "up") is band


@pytest.mark.parametrize("state", ["drained", "draining"])
def test_a_drained_node_is_drained_whatever_its_load(state: str) -> None:
    assert band_of(drained("n", state, r1m=99.0).answer, state) is Band.DRAINED


def test_an_unknown_load_is_never_idle() -> None:
    assert band_of(measured("n", run_queue=Unknown(reason="no /proc/loadavg")), "unknown") is Band.UNKNOWN
    assert band_of(silent("n").answer, "down") is Band.SILENT
    assert band_of(silent("n").answer, "suspect") is Band.SUSPECT


def test_names_that_differ_in_their_last_number_stand_together() -> None:
    groups = by_name(_names("r2n1", "r1n10", "r1n2", "r2n2", "login", "gpu.site2"))
    assert [(group.label, group.nodes) for group in groups] == [
        ("r1n*", ("r1n2", "r1n10")),
        ("r2n*", ("r2n1", "r2n2")),
        (ALONE, ("gpu.site2", "login")),
    ]


def test_the_domain_is_no_number_of_a_node() -> None:
    assert name_pattern("node7.rack2.site") == "node*.rack2.site"
    assert name_pattern("10.0.0.7") == "10.0.0.*"
    assert name_pattern("fe80::17") == "fe80::*"


def test_nodes_without_the_label_come_last() -> None:
    groups = by_label(_names("a", "b", "c"), {NodeName("b"): "r10", NodeName("c"): "r9"})
    assert [(group.label, group.nodes) for group in groups] == [("r9", ("c",)), ("r10", ("b",)), ("no label", ("a",))]


@settings(max_examples=30)
@given(st.lists(st.text(max_size=12), unique=True))
def test_every_node_stands_in_the_map_once(names: list[str]) -> None:
    nodes = _names(*names)
    assert sorted(node for group in by_name(nodes) for node in group.nodes) == sorted(nodes)
    assert sorted(node for group in by_label(nodes, {}) for node in group.nodes) == sorted(nodes)


@settings(max_examples=30)
@given(st.text(), st.text())
def test_any_two_names_have_an_order(one: str, other: str) -> None:
    assert (natural_order(one) < natural_order(other)) + (natural_order(other) < natural_order(one)) <= 1


def test_numbers_are_ordered_as_people_count() -> None:
    names = ["n10", "n2", "n" + "9" * 5000, "n02", "n", "²", "n1x"]
    assert sorted(names, key=natural_order)[:5] == ["n", "n1x", "n2", "n02", "n10"]
