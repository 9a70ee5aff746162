"""`history` draws what sweeps have seen, and asks no node."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clbalance.cli.option_values import parse_past_time
from clbalance.errors import UsageError
from clbalance.lab.cluster import Lab
from clbalance.model import NodeName
from clbalance.model.node_history import NodeSample
from clbalance.store.state import SqliteStore
from tests.cli.command import Command
from tests.cli.test_startup import packages


def test_what_load_saw_is_there_also_that_a_node_was_silent(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=2.0)
    lab.node("node4").kill()
    assert clbalance("load", "-w", "node[1,4-5]").rc == 0
    parsed = json.loads(clbalance("history", "node[1,4-5]", "--json").stdout)
    by_name = {node["name"]: node for node in parsed["nodes"]}
    r1m = by_name["node1"]["indices"]["r1m_per_cpu"]
    assert r1m["last"] == pytest.approx(0.5)
    ((at_s, _),) = r1m["points"]
    assert abs(at_s - datetime.now(UTC).timestamp()) < 180
    assert by_name["node4"]["indices"]["answered_pct"]["last"] == 0.0
    assert by_name["node4"]["indices"].keys() == {"answered_pct"}
    assert [gpu["index"] for gpu in by_name["node5"]["gpus"]] == [0, 1]


def test_no_node_is_asked_and_a_dead_cluster_has_its_history(lab: Lab, clbalance: Command) -> None:
    assert clbalance("load", "-g", "cpu").rc == 0
    for node in lab.nodes:
        node.kill()
    done = clbalance("history", "-g", "cpu", "--index", "up", "--since", "1h")
    assert (done.rc, done.stderr) == (0, "")
    assert {line.split()[0] for line in done.lines[1:-3]} == {"node1", "node2", "node3", "node4"}
    assert {line.split()[3] for line in done.lines[1:-3]} == {"100%"}


def test_a_node_never_looked_at_is_told_with_what_to_type(clbalance: Command) -> None:
    done = clbalance("history", "node[2-3]")
    assert (done.rc, done.stdout) == (0, b"")
    assert done.stderr == ("clbalance: no record of node[2-3] yet: each `clbalance load -w node[2-3]` adds to it\n")
    assert clbalance("load", "-w", "node2").rc == 0
    done = clbalance("history", "node[2-3]")
    assert "no record of node3 yet" in done.stderr
    assert done.lines[1].startswith("node2")
    done = clbalance("history", "node2", "--until", "2h")
    assert (done.rc, done.stdout) == (0, b"")
    assert "no record of node2 in that time: `--since 365d` looks further back" in done.stderr


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("nosuch",), "unknown nodes: nosuch\nhint: no command has asked them yet"),
        (("node1", "--index", "cpu"), "unknown index `cpu`\nhint: all, or one of up, r1m, load"),
        (("node1", "--since", "tomorrow"), "`--since` cannot be 'tomorrow'\nhint: like `2h` (ago)"),
        (("node1", "--since", "1h", "--until", "2h"), "`--since` 1h is not before `--until` 2h"),
        (("node1", "--since", "2026-13-45"), "`--since` cannot be '2026-13-45'"),
        (("@nosuch",), "no group `nosuch`"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_to_type(
    clbalance: Command, typed: tuple[str, ...], message: str
) -> None:
    done = clbalance("history", *typed)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr


def test_without_a_cluster_this_machine_has_a_history(alone: Command) -> None:
    assert alone("load").rc == 0
    assert len(alone("history").lines) > 3
    assert "unknown nodes: node1" in alone("history", "node1").stderr


def test_it_works_in_an_empty_environment_and_then_draws_in_ascii(alone: Command, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    state = Path(alone.env["CLBALANCE_STATE_DIR"])
    state.mkdir(mode=0o700)
    with SqliteStore.open(state) as store:
        for minutes in range(0, 120, 5):
            look = NodeSample(answered=True, values={"ut_pct": float(minutes)})
            store.remember(now - timedelta(minutes=minutes), {}, None, {NodeName("n1"): look})
    bare = Command(env={name: alone.env[name] for name in ("CLBALANCE_STATE_DIR", "PYTHONPATH")}, folder=alone.folder)
    done = bare("history", "n1", "--index", "ut")
    assert (done.rc, done.stderr) == (0, "")
    assert done.text.isascii()
    assert max(map(len, done.lines)) <= 80
    shown = alone("history", "n1", "--index", "ut").text
    assert "█" in shown


def test_it_imports_nothing_that_reaches_nodes_or_draws_on_terminals(clbalance: Command) -> None:
    assert packages(clbalance, "history", "node1").isdisjoint({"rich", "psutil", "msgspec"})


NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", NOON - timedelta(hours=2)),
        ("1d", NOON - timedelta(days=1)),
        ("now", NOON),
        ("2026-02-28T10:30+00:00", datetime(2026, 2, 28, 10, 30, tzinfo=UTC)),
        ("2026-02-28T10:30+02:00", datetime(2026, 2, 28, 8, 30, tzinfo=UTC)),
    ],
)
def test_a_moment_is_a_time_ago_or_a_date(text: str, meant: datetime) -> None:
    assert parse_past_time(text, "`--since`", NOON) == meant


def test_a_date_and_a_day_begin_at_midnight_here() -> None:
    here = NOON.astimezone()
    for text, day in (
        ("today", here),
        ("yesterday", here - timedelta(days=1)),
        ("2026-02-28", datetime(2026, 2, 28).astimezone()),
    ):
        found = parse_past_time(text, "`--since`", here)
        assert (found.date(), found.hour, found.minute) == (day.date(), 0, 0)


@pytest.mark.parametrize("text", ["", "soon", "-1h", "2026-02-30", "9999999d", "2026-", "1h 2"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="`--since` cannot be"):
        parse_past_time(text, "`--since`", NOON)
