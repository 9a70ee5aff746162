import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.render.text import duration, iec, queue, span


@pytest.mark.parametrize(
    ("count", "message"),
    [(0, "0B"), (999, "999B"), (1000, "1.0K"), (1536, "1.5K"), (10_189, "10K"), (1023 << 10, "1.0M"), (31 << 30, "31G"),
     (125 << 30, "125G"), (1 << 40, "1.0T"), (-5, "0B"), (1 << 80, "1048576E")],
)  # fmt: skip
def test_bytes_in_powers_of_1024(count: int, message: str) -> None:
    assert iec(count) == message


@given(st.integers(0, 1 << 62))
def test_bytes_take_four_characters_and_are_right_within_a_twentieth(count: int) -> None:
    message = iec(count)
    number, unit = re.fullmatch(r"([0-9.]{1,3})([BKMGTPE])", message).groups()
    assert float(number) * 1024 ** "BKMGTPE".index(unit) == pytest.approx(count, rel=0.06)


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(0, "0.00s"), (0.314, "0.31s"), (9.99, "9.99s"), (9.996, "10.0s"), (59.94, "59.9s"), (59.96, "1:00"), (125, "2:05"),
     (3725, "1:02:05"), (90000, "25:00:00")],
)  # fmt: skip
def test_durations(seconds: float, message: str) -> None:
    assert duration(seconds) == message


@pytest.mark.parametrize(
    ("length", "message"), [(0.0, "0.00"), (1.406, "1.41"), (99.99, "99.99"), (99.996, "100"), (4096.2, "4096")]
)
def test_run_queues(length: float, message: str) -> None:
    assert queue(length) == message


@pytest.mark.parametrize(
    ("seconds", "message"),
    [(30.0, "30 s"), (119.0, "119 s"), (2618.0, "43.6 min"), (3600.0, "60 min"), (9000.0, "2.5 h"), (259200.0, "3 d")],
)
def test_spans_are_in_one_unit(seconds: float, message: str) -> None:
    assert span(seconds) == message
