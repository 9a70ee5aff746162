"""The window of connections that are made at once."""

from clbalance.model import NodeName
from clbalance.transport.connect_window import ConnectWindow


def begun(window: ConnectWindow, now: float) -> int:
    """Begins as many connections as may be begun, and counts them."""
    places = window.free_places(now)
    for number in range(places):
        window.begin(NodeName(f"n{now:g}-{number}"), now)
    return places


def test_a_connection_holds_its_place_until_its_end_or_for_a_second() -> None:
    window = ConnectWindow(2)
    assert begun(window, 0.0) == 2
    assert window.free_places(0.9) == 0
    window.end(NodeName("n0-0"))
    assert window.free_places(0.9) == 1
    assert window.free_places(1.0) == 2


def test_slow_nodes_are_connected_to_a_window_a_second_and_four_windows_at_most() -> None:
    window = ConnectWindow(64)
    assert [begun(window, float(second)) for second in range(6)] == [64, 64, 64, 64, 0, 0]
    window.end(NodeName("n0-0"))
    assert window.free_places(6.0) == 1


def test_both_limits_are_halved_for_a_server_that_throttles() -> None:
    window = ConnectWindow(64)
    window.halve()
    assert [begun(window, float(second)) for second in range(5)] == [32, 32, 32, 32, 0]


def test_a_window_is_not_halved_below_four_and_never_grows() -> None:
    for size, least in [(64, 4), (4, 4), (1, 1)]:
        window = ConnectWindow(size)
        for _ in range(9):
            window.halve()
        assert window.free_places(0.0) == least
