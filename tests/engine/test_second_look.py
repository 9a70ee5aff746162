"""Who looks at a node for the first time sees its rates: the same session reads the counters once more."""

from clbalance.engine.sweep import take_snapshot
from clbalance.model import Measured, NodeName, Rates, Snapshot, Unknown
from tests.scripted import HangUp, ScriptedNode, ScriptedTransport

from .services import answer, world_of

A, B = NodeName("a"), NodeName("b")


def counting(busy_pct: int, moves: tuple[int, ...] = (0, 1, 2)) -> ScriptedNode:
    """A node whose counters have gone so far at each question, busy for `busy_pct` of the time."""
    left = list(moves)

    def node(text: bytes) -> list[bytes | HangUp]:
        at = left.pop(0)
        ticks = f"stat:cpu  {100 + at * busy_pct} 0 0 {800 + at * (100 - busy_pct)} 0 0 0 0 0 0".encode()
        lines = answer(text.split()[1], 0.5)
        return [ticks if line.startswith(b"stat:cpu ") else line for line in lines]

    return node


def rates(snapshot: Snapshot) -> dict[str, float | str | None]:
    """The cpu use of each node; why it is unknown; None if that is not told."""
    found: dict[str, float | str | None] = {}
    for one in snapshot.answers:
        match one:
            case Measured(rates=Rates(ut_pct=float(pct))):
                found[one.node] = pct
            case Measured(rates=Unknown(reason=reason)):
                found[one.node] = reason
            case _:
                found[one.node] = None
    return found


def test_the_first_look_has_rates() -> None:
    services = world_of({"a": counting(30), "b": counting(70)})
    assert rates(take_snapshot(services, [A, B], look_twice=True)) == {"a": 30.0, "b": 70.0}


def test_it_is_asked_once_more_half_a_second_later_over_the_same_session() -> None:
    services = world_of({"a": counting(30)})
    take_snapshot(services, [A], look_twice=True)
    assert isinstance(services.transport, ScriptedTransport)
    assert len(services.transport.sent[A]) == 2
    assert services.clock.monotonic() == 0.5


def test_a_node_that_was_asked_before_is_asked_once() -> None:
    services = world_of({"a": counting(30)})
    take_snapshot(services, [A])
    services.clock.pause(60.0)
    assert rates(take_snapshot(services, [A], look_twice=True)) == {"a": 30.0}
    assert isinstance(services.transport, ScriptedTransport)
    assert len(services.transport.sent[A]) == 2


def test_a_node_that_was_asked_a_moment_ago_has_the_rates_of_then_and_is_not_waited_for() -> None:
    services = world_of({"a": counting(30)})
    take_snapshot(services, [A])
    services.clock.pause(60.0)
    take_snapshot(services, [A])
    services.clock.pause(0.3)
    assert rates(take_snapshot(services, [A], look_twice=True)) == {"a": 30.0}
    assert services.clock.monotonic() == 60.3


def test_but_not_if_it_was_booted_since() -> None:
    before = counting(30)
    services = world_of({"a": before})
    for pause_s in (60.0, 0.3):
        take_snapshot(services, [A])
        services.clock.pause(pause_s)
    services.transport.nodes[A] = lambda text: [  # type: ignore[attr-defined]
        line.replace(b"8f0c2b1e", b"00000000") if isinstance(line, bytes) else line for line in before(text)
    ]
    assert rates(take_snapshot(services, [A])) == {"a": "rebooted since the last reading"}


def test_nothing_is_placed_by_so_short_a_look() -> None:
    services = world_of({"a": counting(30)})
    assert rates(take_snapshot(services, [A])) == {"a": "no earlier measurement to compare with"}


def test_a_node_that_does_not_answer_again_keeps_its_first_answer() -> None:
    first = counting(30)
    asked = 0

    def once(text: bytes) -> list[bytes | HangUp]:
        nonlocal asked
        asked += 1
        return list(first(text)) if asked == 1 else []  # type: ignore[arg-type]  # no line of it comes later

    services = world_of({"a": once, "b": counting(70)})
    assert rates(take_snapshot(services, [A, B], look_twice=True)) == {
        "a": "no earlier measurement to compare with",
        "b": 70.0,
    }


def test_counters_that_stand_still_are_read_once_more() -> None:
    services = world_of({"a": counting(30, moves=(0, 0, 1))})
    assert rates(take_snapshot(services, [A], look_twice=True)) == {"a": 30.0}
    assert services.clock.monotonic() == 1.0


def test_but_not_for_ever() -> None:
    services = world_of({"a": counting(30, moves=(0, 0, 0))})
    assert rates(take_snapshot(services, [A], look_twice=True)) == {"a": None}


def test_a_slow_node_spoils_no_rates_of_the_others() -> None:
    services = world_of({"a": counting(30), "b": lambda _: []}, answer_within_s=10.0)
    (measured, _) = take_snapshot(services, [A, B], look_twice=True).answers
    assert isinstance(measured, Measured)
    assert isinstance(measured.rates, Rates)
    assert measured.rates.span_s == 10.5  # from its own answer to the second look


def test_rates_are_counted_from_the_answer_and_not_from_the_end_of_a_sweep_that_waited_for_others() -> None:
    services = world_of({"a": counting(30), "b": lambda _: []}, answer_within_s=10.0)
    take_snapshot(services, [A, B])
    (again,) = take_snapshot(services, [A]).answers
    assert isinstance(again, Measured)
    assert isinstance(again.rates, Rates)
    assert again.rates.span_s == 10.0


def test_of_hundreds_of_nodes_the_first_are_looked_at_twice_so_that_not_all_sessions_stay_open() -> None:
    names = [NodeName(f"n{number}") for number in range(300)]
    services = world_of({name: counting(30) for name in names})
    assert list(rates(take_snapshot(services, names, look_twice=True)).values()).count(30.0) == 256
