"""Rows that only a damaged database holds."""

import pytest

from clbalance.model import Traffic, Unknown
from clbalance.store.readings import Cell, remembered, row_of

from .build import NOON, reading


@pytest.mark.parametrize("at_us", [None, "noon", 1.5, 2**62, -(2**62)])
def test_a_row_without_a_time_is_not_remembered(at_us: Cell) -> None:
    assert remembered((at_us, *row_of(NOON, reading())[1:])) is None


def test_a_cell_of_a_wrong_type_is_unknown() -> None:
    at_us = row_of(NOON, reading())[0]
    odd: tuple[Cell, ...] = (at_us, 7, "soon", 1, "many", 1, 2, 3, None)
    last = remembered(odd)
    assert last is not None
    kept = last.reading
    for section in (kept.boot_id, kept.uptime_s, kept.cpu_ticks, kept.net):
        assert isinstance(section, Unknown)
    assert kept.disk == Traffic(in_bytes=1, out_bytes=2)
