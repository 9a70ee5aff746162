"""Every node is asked how it is set up, for its load, and for the time; each for itself, and none waits for another."""

from collections.abc import Mapping

from clbalance.engine.doctor import check_up
from clbalance.model import Cause, NodeName, Reading, RunQueue, Silent, Unknown
from clbalance.model.checkup import Examination, Examined
from tests.scripted import HangUp, ScriptedNode

from .services import EPOCH, Notes, world_of
from .services import answer as probed

SCRIPT = "checkup @NONCE@"
LOST = HangUp(Cause.LOST, "gone")


def node(*, clock: str | HangUp | None = "", uid: str = "1000", load: float | HangUp = 0.5) -> ScriptedNode:
    """One that answers; `clock` None: it falls silent when it is asked for the time, empty: it has ours."""

    def answer(text: bytes) -> list[bytes | HangUp]:
        if text.startswith(b"probe "):
            return [load] if isinstance(load, HangUp) else [*probed(text.split()[1], load)]
        asked_clock = b"date" in text
        nonce = text.partition(b'"')[2].split(b" ")[0] if asked_clock else text.split()[1]
        if asked_clock and (clock is None or isinstance(clock, HangUp)):
            return [] if clock is None else [clock]
        message = clock or f"{EPOCH.timestamp():.0f}"
        name, said = ("clock", str(message)) if asked_clock else ("uid", uid)
        lines = [b"begin", f"+ {name}".encode(), f"\0{said}".encode(), f"- {name} 0".encode(), b"end"]
        return [b"noise", *(line[1:] if line[:1] == b"\0" else nonce + b" " + line for line in lines)]

    return answer


def asked(nodes: Mapping[str, ScriptedNode], names: str = "") -> dict[str, Examination]:
    found = check_up(world_of(nodes), [NodeName(name) for name in names.split() or nodes], SCRIPT)
    return {one.node: one for one in found}


def test_every_node_tells_how_it_is_set_up_and_then_the_time() -> None:
    found = asked({"a": node(uid="7"), "b": node(clock=f"{EPOCH.timestamp() + 90:.0f}")}, "b a")
    assert list(found) == ["b", "a"]
    one, two = found["a"], found["b"]
    assert isinstance(one, Examined)
    assert isinstance(two, Examined)
    assert (one.checkup.uid, one.clock_offset_s) == (7, 0.0)
    assert isinstance(one.reading, Reading)
    assert isinstance(one.reading.run_queue, RunQueue)
    assert one.reading.run_queue.r1m == 0.5
    assert two.clock_offset_s == 90.0


def test_no_nodes_are_no_work() -> None:
    assert asked({}) == {}


def test_a_node_that_cannot_be_reached_is_silent_and_the_others_are_not() -> None:
    found = asked({"a": node()}, "gone a")
    assert found["gone"] == Silent(node=NodeName("gone"), cause=Cause.DNS, reason="Could not resolve hostname gone")
    assert isinstance(found["a"], Examined)


def test_a_node_that_falls_silent_ends_at_its_deadline_and_delays_nobody() -> None:
    nodes: dict[str, ScriptedNode] = {"mute": lambda _: [], "a": node()}
    services = world_of(nodes)
    one, two = check_up(services, [NodeName("mute"), NodeName("a")], SCRIPT)
    assert isinstance(one, Silent)
    assert one.cause is Cause.TIMEOUT
    assert isinstance(two, Examined)
    assert services.clock.monotonic() <= services.answer_within_s + 1


def test_what_was_told_before_the_end_is_kept() -> None:
    found = asked({"hung": node(clock=None), "lost": node(clock=LOST)})
    for one in found.values():
        assert isinstance(one, Examined)
        assert one.checkup.uid == 1000
        assert isinstance(one.reading, Reading)
        assert isinstance(one.clock_offset_s, Unknown)


def test_a_node_that_is_lost_before_it_tells_its_load_keeps_its_setup() -> None:
    one = asked({"a": node(load=LOST)})["a"]
    assert isinstance(one, Examined)
    assert one.checkup.uid == 1000
    assert one.reading == one.clock_offset_s == Unknown(reason="connection lost: gone")


def test_one_that_floods_is_garbled() -> None:
    flood = [b"x" * 4_000] * 600
    found = asked({"a": lambda _: flood})["a"]
    assert isinstance(found, Silent)
    assert found.cause is Cause.GARBLED


def test_who_listens_is_told_of_every_node_and_of_the_end() -> None:
    services = world_of({"a": node(), "b": node()})
    check_up(services, [NodeName("a"), NodeName("b"), NodeName("gone")], SCRIPT)
    notes = services.listener
    assert isinstance(notes, Notes)
    assert (notes.total, sorted(notes.answered_nodes), notes.finished) == (3, ["a", "b", "gone"], 1)
    assert (notes.awaited[0] <= {"a", "b", "gone"}, notes.awaited[-1]) == (True, set())
