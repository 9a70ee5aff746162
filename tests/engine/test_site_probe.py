"""A program of the site that hangs is left alone on that node, longer each time, and nowhere else."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from clbalance.engine.site_probe import HungProgram, SiteProbe, Where
from clbalance.engine.sweep import ask, take_snapshot
from clbalance.model import NodeName, Unknown
from clbalance.model.plugins import ExternalIndex, IndexSource, NodeProgram, SitePrograms
from clbalance.probe.frame import Section
from tests.engine.services import answer, probed, world_of

A, B = NodeName("a"), NodeName("b")
SITE = SitePrograms(
    programs=(NodeProgram(name="index x", text="#!/bin/sh\n"), NodeProgram(name="index y", path="/opt/y")),
    indices=tuple(IndexSource(index=ExternalIndex(name=name), program=at, field=name) for at, name in enumerate("xy")),
)
HUNG = Section(text="", status=None)
FINE = Section(text="x 1\nexit 0\n", status="0")


@dataclass
class Remembered:
    """In memory."""

    hung: dict[Where, HungProgram] = field(default_factory=dict)

    def known(self) -> Mapping[Where, HungProgram]:
        return self.hung

    def change(self, changed: Mapping[Where, HungProgram | None]) -> None:
        for where, one in changed.items():
            if one is None:
                del self.hung[where]
            else:
                self.hung[where] = one


def probe() -> SiteProbe:
    return SiteProbe(site=SITE, script=lambda: "", hung=Remembered())


def test_a_program_that_hung_is_not_run_on_that_node_for_a_minute() -> None:
    site = probe()
    assert site.sections(A, 1000.0) == "plugin_a plugin_b"
    site.remember({A: {"plugin_a": HUNG, "plugin_b": FINE}}, 1000.0)
    assert site.sections(A, 1059.0) == "plugin_b"
    assert site.sections(B, 1059.0) == "plugin_a plugin_b"
    assert site.sections(A, 1060.0) == "plugin_a plugin_b"
    said = site.read(A, {"plugin_b": FINE}, 1030.0).value("x")
    assert said == Unknown(reason="did not end in time 30 seconds ago, and is not run again for 60 seconds since")


def test_the_pause_is_twice_as_long_each_time_in_a_row_and_an_hour_at_most() -> None:
    site = probe()
    now_s, pauses = 0.0, []
    for _ in range(9):
        site.remember({A: {"plugin_a": HUNG}}, now_s)
        pause_s = next(s for s in range(60, 10_000, 60) if "plugin_a" in site.sections(A, now_s + s))
        pauses.append(pause_s)
        now_s += pause_s
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_one_that_ends_in_time_again_is_forgotten() -> None:
    site = probe()
    for at_s in (0.0, 60.0):
        site.remember({A: {"plugin_a": HUNG}}, at_s)
    site.remember({A: {"plugin_b": HUNG}}, 300.0)  # it was not run
    assert site.hung.known().keys() == {(A, key) for _, key in site.hung.known()}
    assert len(site.hung.known()) == 2
    site.remember({A: {"plugin_a": FINE, "plugin_b": FINE}}, 500.0)
    assert site.hung.known() == {}


def test_one_sweep_counts_a_hang_once_however_often_it_is_looked_at() -> None:
    def node(text: bytes) -> list[bytes]:
        nonce = text.split()[1]
        *lines, end = answer(nonce, 0.5)
        return [*lines, nonce + b" + plugin_a", end]

    site = probe()
    services = world_of({"a": node}, site=site)
    with services.transport.sessions() as sessions:
        asked = ask(services, sessions, [A])
        asked.listen()
        asked.snapshot()
        asked.snapshot()
    assert [one.times for one in site.hung.known().values()] == [1]


def test_a_clock_that_was_set_back_keeps_no_program_from_running() -> None:
    site = probe()
    site.remember({A: {"plugin_a": HUNG}}, 5000.0)
    assert site.sections(A, 4000.0) == "plugin_a plugin_b"


def test_a_changed_program_is_run_at_once() -> None:
    site = probe()
    site.remember({A: {"plugin_a": HUNG}}, 0.0)
    mended = SitePrograms(programs=(NodeProgram(name="index x", text="#!/bin/sh\necho x 1\n"), *SITE.programs[1:]))
    assert SiteProbe(site=mended, script=site.script, hung=site.hung).sections(A, 1.0) == "plugin_a plugin_b"


def test_a_sweep_asks_each_node_for_the_programs_that_may_run_there() -> None:
    site = probe()
    now_s = world_of({}).clock.now().timestamp()
    site.remember({B: {"plugin_a": HUNG}}, now_s)
    services = world_of({"a": probed(), "b": probed()}, site=site, probe_script="probe @NONCE@\n@SECTIONS@")
    snapshot = take_snapshot(services, [A, B])
    sent = services.transport.sent  # type: ignore[attr-defined]  # the scripted one
    assert [sent[node][0].decode().split("\n")[1] for node in (A, B)] == ["plugin_a plugin_b", "plugin_b"]
    assert len({sent[node][0].split(b"\n")[0] for node in (A, B)}) == 2, "what one node learns tells nothing of another"
    assert [answer.node for answer in snapshot.answers] == [A, B]
