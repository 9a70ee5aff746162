"""Differences between readings, and when there are none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import CpuTicks, Rates, Reading, Traffic, Unknown
from clbalance.probe.load import parse_core_ticks
from clbalance.probe.reading import parse_reading, rates

from .answers import UNHURRIED

AT = datetime(2026, 11, 22, tzinfo=UTC)
EMPTY = parse_reading({})


def reading(*, busy: int = 0, total: int = 0, disk: int = 0, net: int = 0, boot: str = "a") -> Reading:
    return replace(
        EMPTY,
        boot_id=boot,
        cpu_ticks=CpuTicks(busy=busy, total=total),
        disk=Traffic(in_bytes=disk, out_bytes=disk),
        net=Traffic(in_bytes=net, out_bytes=net),
    )


def after(seconds: float, one: Reading, two: Reading) -> Rates | Unknown:
    return rates(one, AT, two, AT + timedelta(seconds=seconds))


def test_use_is_the_busy_share_of_the_ticks_between() -> None:
    message = after(10, reading(busy=100, total=1000), reading(busy=350, total=2000))
    assert isinstance(message, Rates)
    assert message.ut_pct == 25.0
    assert message.span_s == 10.0


def test_each_cpu_has_ticks_of_its_own() -> None:
    text = "cpu  9 0 1 30 0 0 0\ncpu0 4 0 1 15 0 0 0\ncpu7 5 0 0 15 5 0 0\ncpux 1 1 1 1\ncpu8 1\nintr 3\n"
    assert parse_core_ticks(text) == {0: CpuTicks(busy=5, total=20), 7: CpuTicks(busy=5, total=25)}
    assert parse_core_ticks("nothing") == {}


def test_traffic_counts_both_ways() -> None:
    message = after(10, reading(total=1), reading(total=2, disk=1000, net=50))
    assert isinstance(message, Rates)
    assert (message.disk_bytes_per_s, message.net_bytes_per_s) == (200.0, 10.0)


@pytest.mark.parametrize("seconds", [1.0, 900.0])
def test_a_span_at_its_bound_counts(seconds: float) -> None:
    assert isinstance(after(seconds, reading(), reading(total=10)), Rates)


@pytest.mark.parametrize("seconds", [-5.0, 0.0, 0.99, 900.1, 86_400.0])
def test_too_short_or_too_long_a_span_is_unknown(seconds: float) -> None:
    message = after(seconds, reading(), reading(total=10))
    assert isinstance(message, Unknown)
    assert "reading" in message.reason


def test_a_reboot_between_is_unknown() -> None:
    assert after(5, reading(), reading(total=10, boot="b")) == Unknown(reason="rebooted since the last reading")


@pytest.mark.parametrize("side", ["before", "after"])
def test_without_a_boot_id_on_both_sides_there_are_no_rates(side: str) -> None:
    blind = {"boot_id": Unknown(reason="not told")}
    one, two = reading(), reading(total=10)
    message = after(5, replace(one, **blind), two) if side == "before" else after(5, one, replace(two, **blind))
    assert isinstance(message, Unknown)


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize(
    ("field", "rate"), [("cpu_ticks", "ut_pct"), ("disk", "disk_bytes_per_s"), ("net", "net_bytes_per_s")]
)
def test_counters_that_are_unknown_cost_their_own_rate_only(side: str, field: str, rate: str) -> None:
    one, two = reading(), reading(busy=5, total=10, disk=5, net=5)
    blind = {field: Unknown(reason="not told")}
    whole = after(5, one, two)
    message = after(5, replace(one, **blind), two) if side == "before" else after(5, one, replace(two, **blind))
    assert isinstance(whole, Rates)
    assert message == replace(whole, **{rate: Unknown(reason="not told")})


@pytest.mark.parametrize(("busy", "total"), [(-1, 10), (0, 0), (0, -5), (11, 10)])
def test_cpu_counters_that_do_not_go_forward_are_unknown(busy: int, total: int) -> None:
    message = after(5, reading(busy=100, total=100), reading(busy=100 + busy, total=100 + total))
    assert isinstance(message, Rates)
    assert message.ut_pct == Unknown(reason="cpu counters did not go forward")


def test_a_disk_that_is_taken_out_costs_the_disk_rate_only() -> None:
    message = after(5, reading(disk=1000), reading(total=10, net=25))
    assert isinstance(message, Rates)
    assert message.disk_bytes_per_s == Unknown(reason="counters went back")
    assert message.net_bytes_per_s == 10.0


@UNHURRIED
@given(
    st.tuples(*[st.integers(0, 2**64)] * 4),
    st.tuples(*[st.integers(0, 2**64)] * 4),
    st.floats(-1e6, 1e6, allow_nan=False),
)
def test_rates_are_never_out_of_range(one: tuple[int, ...], two: tuple[int, ...], seconds: float) -> None:
    def made(numbers: tuple[int, ...]) -> Reading:
        busy, idle, disk, net = numbers
        return reading(busy=busy, total=busy + idle, disk=disk, net=net)

    message = after(seconds, made(one), made(two))
    if isinstance(message, Rates):
        assert isinstance(message.ut_pct, Unknown) or 0.0 <= message.ut_pct <= 100.0
        assert all(
            isinstance(rate, Unknown) or rate >= 0 for rate in (message.disk_bytes_per_s, message.net_bytes_per_s)
        )
