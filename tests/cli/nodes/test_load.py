"""`clbalance load` on a cluster: what it says of nodes, to people and to programs."""

import json
from pathlib import Path
from typing import Any

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.load import MIB, GpuLoad
from tests.cli.command import Command, Done
from tests.cli.held_jobs import LATER
from tests.render.reports.test_metrics import of
from tests.waiting import eventually

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m[red]evil[/red]\u202e"


def rows(done: Done) -> dict[str, list[str]]:
    """The cells of each node's row, of a table without gaps."""
    return {line.split()[0]: line.split() for line in done.lines[1:]}


def order(done: Done) -> list[str]:
    return list(rows(done))


def nodes_of(done: Done) -> dict[str, dict[str, Any]]:
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    return {node["name"]: node for node in document["nodes"]}


def test_a_table_in_a_pipe_is_plain_text_with_the_least_loaded_node_first(lab: Lab, clbalance: Command) -> None:
    for name, r1m in (("node1", 3.0), ("node2", 0.5), ("node3", 1.5), ("node4", 9.0)):
        lab.node(name).load(r1m=r1m)
    done = clbalance("load", "-w", "node[1-4]")
    assert (done.rc, done.stderr) == (0, "")
    assert order(done) == ["node2", "node3", "node1", "node4"]
    assert all(32 <= byte < 127 or byte == 10 for byte in done.stdout)
    assert rows(done)["node2"][:3] == ["node2", "up", "0.50"]


def test_a_node_past_its_threshold_is_marked_by_a_symbol_and_a_reason(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=9.0)
    done = clbalance("load", "-w", "node[1-2]")
    busy = rows(done)["node1"]
    assert busy[1] == "busy"
    assert "*2.25" in busy
    assert done.lines[-1].endswith("load is 2.25 per cpu")


def test_silent_nodes_come_last_with_their_reasons(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").kill()
    lab.node("node2").hang()
    lab.node("node3").load(r1m=9.0)
    done = clbalance("load", "-w", "node[1-4]", *LATER)
    assert done.rc == 0
    assert order(done)[:2] == ["node4", "node3"]
    assert rows(done)["node1"][1] == "down"
    assert "refused" in next(line for line in done.lines if line.startswith("node1"))
    assert rows(done)["node2"][1] == "unknown"
    assert "timed out" in next(line for line in done.lines if line.startswith("node2"))
    strict = clbalance("load", "-S", "-w", "node[1,4]")
    assert strict.rc == 4
    assert strict.stdout
    assert clbalance("load", "-w", "node1").rc == 4


def test_strict_is_content_when_all_have_answered(clbalance: Command) -> None:
    assert clbalance("load", "-S", "-w", "node[1-2]").rc == 0


def test_json_has_units_in_its_keys_and_null_for_what_is_unknown(lab: Lab, clbalance: Command) -> None:
    lab.node("node1").load(r1m=1.25, mem_used_bytes=4096 * MIB)
    lab.node("node2").kill()
    done = clbalance("load", "-w", "node[1-2]", "--json")
    up, down = nodes_of(done)["node1"], nodes_of(done)["node2"]
    assert (up["state"], up["reason"], up["r1m"]) == ("up", None, 1.25)
    assert (up["mem_total_bytes"], up["mem_available_bytes"]) == (16384 * MIB, 12288 * MIB)
    assert 0.0 <= up["ut_pct"] <= 100.0
    assert up["leases"] == []
    assert (down["state"], down["cause"]) == ("down", "connection refused")
    assert down["r1m"] is None
    assert "refused" in down["reason"]
    assert all(byte < 128 for byte in done.stdout)


def test_cpu_use_is_known_at_the_first_look_and_measured_between_looks_from_then_on(
    lab: Lab, clbalance: Command
) -> None:
    lab.node("node1").load(ut_pct=50)
    assert nodes_of(clbalance("load", "-w", "node1", "--json"))["node1"]["ut_pct"] is not None

    def is_told() -> bool:
        parsed = nodes_of(clbalance("load", "-w", "node1", "--json"))["node1"]["ut_pct"]
        return parsed is not None and 25 < parsed < 75

    eventually(is_told)


@pytest.mark.parametrize(
    ("name", "key", "metric"),
    [("io", "disk_bytes_per_s", "disk_bytes_per_second"), ("net", "net_bytes_per_s", "network_bytes_per_second")],
)
def test_traffic_is_shown_chosen_by_and_remembered(
    lab: Lab, clbalance: Command, tmp_path: Path, name: str, key: str, metric: str
) -> None:
    (tmp_path / "clbalance.toml").write_text(f"[thresholds]\n{name}_kib_per_s = 100000\n")
    settings = {"CLBALANCE_CONFIG": str(tmp_path / "clbalance.toml")}
    for at, kib in enumerate((200000.0, 50000.0, 0.0), start=1):
        lab.node(f"node{at}").load(**{f"{name}_kib_per_s": kib})  # type: ignore[arg-type]

    def shown(*arguments: str) -> Done:
        return clbalance("load", "-w", "node[1-3]", *arguments, env=settings)

    eventually(lambda: (nodes_of(shown("--json"))["node1"][key] or 0) > 130e6)
    eventually(lambda: order(shown("--order", f"-{name}")) == ["node1", "node2", "node3"])
    eventually(lambda: order(shown("--where", f"{name} < 1000")) == ["node3"])

    def is_marked() -> bool:
        message = shown("--where", f"{name} >= 0")
        cell = rows(message)["node1"][message.lines[0].split().index(name.upper())] if "node1" in rows(message) else ""
        return cell.startswith("*") and cell.endswith("M") and message.lines[-1].endswith(" KiB/s")

    eventually(is_marked)
    eventually(lambda: (of(clbalance("metrics", "-w", "node1").text, f"node_{metric}", node="node1") or 0) > 130e6)
    assert clbalance("history", "node1", "--index", name).lines[1].split()[:2] == ["node1", name]


def test_plain_lines_have_fields_that_never_move(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").kill()
    done = clbalance("load", "-w", "node[1-2]", "--format", "plain")
    first, second = (line.split("\t") for line in done.lines)
    assert first[:3] == ["node1", "up", "0"]
    assert len(first) == len(second) >= 18
    assert second[:3] == ["node2", "down", "-"]


def test_gpus_are_told(lab: Lab, clbalance: Command) -> None:
    busy = GpuLoad(index=0, use_pct=95, mem_used_bytes=30_000 * MIB, process="train.py")
    lab.node("node5").load(gpus=(busy,))
    assert "1/2 free" in clbalance("load", "-w", "node5").text
    gpus = nodes_of(clbalance("load", "-w", "node5", "--json"))["node5"]["gpus"]
    assert [(gpu["use_pct"], gpu["mem_used_bytes"]) for gpu in gpus] == [(95.0, 30_000 * MIB), (0.0, 0)]
    (process,) = gpus[0]["processes"]
    told = {key: process[key] for key in ("pid", "name", "mem_bytes", "uid", "user", "stranger", "job")}
    assert told == {
        "pid": 400000, "name": "train.py", "mem_bytes": 30_000 * MIB, "uid": None, "user": None, "stranger": None,
        "job": None,
    }  # fmt: skip


def test_candidates_are_named_as_in_clush(clbalance: Command) -> None:
    def named(*arguments: str) -> list[str]:
        return sorted(order(clbalance("load", *arguments)))

    everyone = [f"node{number}" for number in range(1, 9)]
    assert named("-a") == named() == everyone
    assert named("-g", "gpu-nodes") == named("-w", "@gpu-nodes&@rack2") == everyone[4:]
    assert named("-a", "-x", "node[1-3]", "-X", "rack2") == ["node4"]
    assert named("-w", "node[1-4]!node3", "-w", "node8") == ["node1", "node2", "node4", "node8"]


def test_no_control_sequence_of_a_node_reaches_the_terminal(lab: Lab, clbalance: Command) -> None:
    node = lab.node("node5")
    table = f"GPU-{HOSTILE}, 0, {HOSTILE}, 40960, 10, 5, 30, {HOSTILE}\n"
    (node.folder.gpu / "gpus.csv").write_text(table)
    (node.folder.gpu / "apps.csv").write_text(f"GPU-{HOSTILE}, 1, {HOSTILE}, 10\n")
    liar = lab.node("node6").folder.bin / "df"
    liar.write_text(f"#!/bin/sh\nprintf '{HOSTILE}\\n'\n")
    liar.chmod(0o755)
    for form in ("human", "plain", "json"):
        done = clbalance("load", "-w", "node[5-6]", "--format", form)
        assert done.rc == 0
        assert all(32 <= byte < 127 or byte in b"\n\t" for byte in done.stdout), form
    terminal = clbalance.on_terminal("load", "-w", "node[5-6]", "--color", "never", columns=140)
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.printed
    assert b"owned\x07" not in terminal.raw


def test_a_node_that_talks_before_it_answers_is_understood(lab: Lab, clbalance: Command) -> None:
    node = lab.node("node1")
    (node.folder.home("root") / ".bashrc").write_text("echo noise; echo more noise >&2; printf 'no newline'\n")
    assert rows(clbalance("load", "-w", "node1"))["node1"][1] == "up"


# -- the map of `--heat`


def test_a_map_shows_loads_and_names_the_silent(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    lab.node("node3").kill()
    done = clbalance("load", "-w", "node[1-3]", "--heat", env={"LC_ALL": "C"})
    assert (done.rc, done.lines[0]) == (0, "node1 .#x")
    assert done.lines[2:] == ["# 1 load >=1: node2", "x 1 no answer: node3"]


def test_a_map_by_rack_has_a_label_for_each(clbalance: Command, tmp_path: Path) -> None:
    text = '[[nodes]]\nset = "node1"\nlabels = {rack = "east"}\n[[nodes]]\nset = "node2"\nlabels = {rack = "west"}\n'
    (tmp_path / "clbalance.toml").write_text(text)
    settings = {"CLBALANCE_CONFIG": str(tmp_path / "clbalance.toml"), "COLUMNS": "20"}
    done = clbalance("load", "-w", "node[1-2]", "--heat", env=settings)
    assert [line[:5] for line in done.lines[0].split("  ")] == ["east ", "west "]
    wrong = clbalance("load", "-w", "node[1-2]", "--heat", "--by", "rak", env=settings)
    assert (wrong.rc, "did you mean `rack`?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("extra", [("--gpus",), ("--jobs",), ("--order", "ut")])
def test_what_a_map_cannot_show_is_refused(clbalance: Command, extra: tuple[str, ...]) -> None:
    assert clbalance("load", "-w", "node1", "--heat", *extra).rc == 2


def test_groups_are_for_maps(clbalance: Command) -> None:
    done = clbalance("load", "-w", "node1", "--by", "rack")
    assert (done.rc, "`--heat`" in done.stderr) == (2, True)
