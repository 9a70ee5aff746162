"""All that is known of the load to come of one node, as it is stored: its indices, and its peaks. Pure.

Enters: the stored bytes and a sample. Leaves: the bytes to store, or what to expect. Bytes that make no sense, of a
damaged database or of another version, count as none: then the forecast begins anew.
"""

import math
from array import array
from collections.abc import Iterator, Mapping
from typing import Final

from clbalance.model.forecast import Expected, Peaks
from clbalance.policy.forecast.peaks import BUCKETS, aged, bucket_of, percentile
from clbalance.policy.forecast.series import (
    FORGOTTEN_AFTER,
    SIZE,
    STEP_S,
    Numbers,
    add,
    expected,
    is_sample,
    is_sound,
    numbers_of_new,
)
from clbalance.policy.indices.row import Unit
from clbalance.policy.indices.table import FORECASTS

_FORMAT: Final = 1.0
"""Another one is of another version."""
_HEAD: Final = 2
"""The format, and the last step."""
_LAST: Final = 1
_OF_CPU: Final = _HEAD + len(FORECASTS) * SIZE
_OF_MEM: Final = _OF_CPU + BUCKETS
_WHOLE: Final = _OF_MEM + BUCKETS
_HOUR: Final = 3600 // STEP_S
_CPU_HALF_LIFE_S: Final = 12 * 3600.0
_MEM_HALF_LIFE_S: Final = 24 * 3600.0
_CPU_SHARE: Final = 0.95
_MEM_SHARE: Final = 0.98
_CPU_USE: Final = "ut_pct"
_MEM_LEFT: Final = "mem_available_pct"


def slot_at(at_s: float) -> int:
    """The step of five minutes of this time (seconds since 1970)."""
    return int(at_s // STEP_S)


def with_sample(state: bytes | None, slot: int, values: Mapping[str, float]) -> bytes:
    """The state with the values of one more step, by the keys of history. Indices without a value stay as they are."""
    numbers = _numbers(state)
    for at, index in enumerate(FORECASTS):
        value = values.get(index.key)
        if value is not None and is_sample(value):
            begin = _HEAD + at * SIZE
            series = numbers[begin : begin + SIZE]
            series = series if is_sound(series) else numbers_of_new()
            add(series, slot, value)
            numbers[begin : begin + SIZE] = series
    _count_peaks(numbers, slot, values)
    numbers[_LAST] = slot
    return numbers.tobytes()


def _count_peaks(numbers: Numbers, slot: int, values: Mapping[str, float]) -> None:
    hours = slot // _HOUR - int(numbers[_LAST]) // _HOUR
    if hours > 0:  # a clock that was set back ages nothing
        numbers[_OF_CPU:_OF_MEM] = aged(numbers[_OF_CPU:_OF_MEM], 3600.0 * hours, _CPU_HALF_LIFE_S)
        numbers[_OF_MEM:] = aged(numbers[_OF_MEM:], 3600.0 * hours, _MEM_HALF_LIFE_S)
    used, left = values.get(_CPU_USE), values.get(_MEM_LEFT)
    if used is not None and is_sample(used):
        numbers[_OF_CPU + bucket_of(used)] += 1.0
    if left is not None and is_sample(left):
        numbers[_OF_MEM + bucket_of(100.0 - left)] += 1.0


def _numbers(state: bytes | None) -> Numbers:
    if state is not None and len(state) == 4 * _WHOLE:
        numbers = array("f", state)
        if numbers[0] == _FORMAT and math.isfinite(numbers[_LAST]) and math.isfinite(sum(numbers[_OF_CPU:])):
            return numbers
    numbers = array("f", [_FORMAT, 0.0])
    for _ in FORECASTS:
        numbers += numbers_of_new()
    return numbers + array("f", bytes(4 * 2 * BUCKETS))


class Outlook(Mapping[str, Expected]):
    """What to expect of the indices of a node at one time, by the keys of `FORECASTS`; computed when it is read."""

    __slots__ = ("_at_s", "_found", "_state")

    def __init__(self, state: bytes, at_s: float) -> None:
        self._state = state
        self._at_s = at_s
        self._found: Mapping[str, Expected] | None = None

    def _read(self) -> Mapping[str, Expected]:
        if self._found is None:
            self._found = expected_of_node(self._state, self._at_s)
        return self._found

    def __getitem__(self, key: str) -> Expected:
        return self._read()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"Outlook({dict(self)!r})"


def expected_of_node(state: bytes, at_s: float) -> dict[str, Expected]:
    """What to expect of each index at that time; without those of which nothing is known."""
    numbers = _numbers(state)
    found = {}
    for at, index in enumerate(FORECASTS):
        begin = _HEAD + at * SIZE
        series = numbers[begin : begin + SIZE]
        if is_sound(series) and (one := expected(series, at_s)) is not None and math.isfinite(one.value):
            highest = 100.0 if index.unit is Unit.PERCENT else math.inf
            found[index.key] = _within(one, highest)
    return found


def _within(one: Expected, highest: float) -> Expected:
    """A trend may lead below nothing, or beyond all there is."""
    value = min(highest, max(0.0, one.value))
    return Expected(value=value, error=one.error, last_error=one.last_error, by=one.by)


def peaks_of_node(state: bytes, at_s: float) -> Peaks:
    """The peaks of the last day or two; none, if the last sample is older than that."""
    numbers = _numbers(state)
    if slot_at(at_s) - numbers[_LAST] > FORGOTTEN_AFTER:
        return Peaks(cpu_use_p95_pct=None, mem_used_p98_pct=None)
    return Peaks(
        cpu_use_p95_pct=percentile(numbers[_OF_CPU:_OF_MEM], _CPU_SHARE),
        mem_used_p98_pct=percentile(numbers[_OF_MEM:], _MEM_SHARE),
    )
