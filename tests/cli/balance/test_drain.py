"""`clbalance drain` and `resume` on a cluster: marks that every verb shows and respects, and what goes wrong with them."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from clbalance.cli.balance.drain_marks import drain_request_of, end_typed
from clbalance.engine.drain import drain_message
from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from tests.cli.command import Command, ended
from tests.cli.held_jobs import LATER
from tests.cli.nodes.test_load import HOSTILE
from tests.cli.run.test_run_ends import PYTHONS, await_output
from tests.waiting import eventually


def node_of(clbalance: Command, node: str) -> dict[str, Any]:
    """What `load` tells a program about it."""
    (parsed,) = json.loads(clbalance("load", "-w", node, "--json").stdout)["nodes"]
    return dict(parsed)


def test_drained_nodes_are_shown_with_their_reason_and_take_no_work_until_they_are_resumed(clbalance: Command) -> None:
    drained = clbalance("drain", "node[1-2]", "-w", "node3", "--reason", "disk swap")
    assert (drained.rc, drained.stdout, drained.stderr) == (0, b"", "clbalance: drained node[1-3]\n")
    rows = clbalance("load", "-w", "node[1-4]").lines[1:]
    assert [row.split()[:2] for row in rows] == [["node4", "up"], *([f"node{n}", "drained"] for n in (1, 2, 3))]
    assert all(row.endswith("disk swap (by root)") for row in rows[1:])
    assert clbalance("pick", "-w", "node[1-4]", "--pick", "all").stdout == b"node4\n"
    refused = clbalance("run", "-w", "node[1-3]", "--cpus", "0", "--", "true")
    assert (refused.rc, refused.stderr.splitlines()[0]) == (125, "clbalance: 0/3 nodes fit: 3 drained")
    assert "drained: disk swap (by root)" in clbalance("pick", "-w", "node1", "--explain").stderr

    resumed = clbalance("resume", "node[1-3]")
    assert (resumed.rc, resumed.stderr) == (0, "clbalance: resumed node[1-3]\n")
    assert clbalance("pick", "-w", "node[1-4]", "--pick", "all").stdout == b"node[1-4]\n"


def test_what_runs_on_a_drained_node_goes_on_and_the_node_is_draining_until_it_ends(clbalance: Command) -> None:
    child = clbalance.start("run", "-q", "-w", "node1", "-c", 'echo up; until [ -e "$TMPDIR/go" ]; do sleep 0.05; done')
    await_output(child)
    done = clbalance("drain", "node[1-2]", "--reason", "soon")
    assert (done.rc, done.stderr.splitlines()) == (0, ["clbalance: drained node2", "clbalance: draining node1"])
    assert node_of(clbalance, "node1")["state"] == "draining"
    assert clbalance("run", "-q", "-w", "node1", "--", "true").rc == 125
    with open(f"{clbalance.env['CLBALANCE_LAB_DIR']}/node1/tmp/go", "w"):
        assert ended(child) == 0
    assert node_of(clbalance, "node1")["state"] == "drained"


def test_a_mark_tells_programs_who_made_it_when_and_until_when(clbalance: Command) -> None:
    clbalance("drain", "node1", "--reason", "fan", "--for", "2h")
    (mark,) = node_of(clbalance, "node1")["drains"]
    assert (mark["uid"], mark["reason"], mark["binds_all"]) == (0, "fan", True)
    assert mark["at"] < mark["until"]


def test_a_duration_is_sent_as_such_so_the_clock_here_changes_nothing() -> None:
    for typed, fields in (("5m", {"lasts_s": 300.0, "until": None}), (None, {"lasts_s": None, "until": None})):
        for now in (datetime.now(UTC), datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 1, 1, tzinfo=UTC)):
            sent = json.loads(drain_message(drain_request_of("disk", end_typed(typed, None, now))))
            assert {key: sent[key] for key in ("lasts_s", "until")} == fields


def test_the_instant_of_an_end_is_told_with_its_offset(clbalance: Command) -> None:
    done = clbalance("drain", "node1", "--reason", "fan", "--until", "2099-11-27T06:00Z", env={"TZ": "Europe/Berlin"})
    said = ["clbalance: until 2099-11-27 07:00 (UTC+01:00)", "clbalance: drained node1"]
    assert (done.rc, done.stderr.splitlines()) == (0, said)


def test_the_end_of_a_mark_is_in_the_table(clbalance: Command) -> None:
    clbalance("drain", "node1", "--reason", "fan", "--until", "2099-11-27 06:00")
    assert clbalance("load", "-w", "node1").lines[1].endswith("fan (by root, until 2099-11-27 06:00)")


def test_a_mark_ends_by_itself_when_its_time_is_over(clbalance: Command) -> None:
    began = time.monotonic()
    clbalance("drain", "node1", "--reason", "fan", "--for", "5s")
    assert clbalance("pick", "-w", "node1").rc == 3 or time.monotonic() - began > 5.0
    eventually(lambda: clbalance("run", "-q", "-w", "node1", "--", "true").rc == 0)
    assert time.monotonic() - began > 5.0
    assert node_of(clbalance, "node1")["state"] == "up"


def test_a_second_mark_takes_the_place_of_the_first(clbalance: Command) -> None:
    for reason in ("first", "second"):
        assert clbalance("drain", "node1", "--reason", reason).rc == 0
    assert [mark["reason"] for mark in node_of(clbalance, "node1")["drains"]] == ["second"]
    assert clbalance("resume", "node1").rc == 0
    again = clbalance("resume", "node1")
    assert (again.rc, again.stderr) == (0, "clbalance: node1: no mark of yours was there\n")


def test_resume_names_those_that_it_changed_and_the_others_in_one_line(lab: Lab, clbalance: Command) -> None:
    assert clbalance("drain", "node[2-3]", "--reason", "disk").rc == 0
    done = clbalance("resume", "-a")
    others = "node[1,4-8]"
    said = ["clbalance: resumed node[2-3]", f"clbalance: {others}: no mark of yours was there"]
    assert (done.rc, done.stderr.splitlines()) == (0, said)


@pytest.mark.parametrize(
    ("verb", "done_word"), [(("drain", "--reason", "rack move"), "drained"), (("resume",), "resumed")]
)
def test_nodes_that_cannot_be_marked_are_told_and_the_others_are_done(
    lab: Lab, clbalance: Command, verb: tuple[str, ...], done_word: str
) -> None:
    assert clbalance("drain", "node4", "--reason", "before").rc == 0
    lab.node("node1").kill()
    lab.node("node2").hang()
    lab.node("node3").boot(Fault(without=PYTHONS))
    done = clbalance(*verb, "-w", "node[1-4]", *LATER)
    assert (done.rc, done.stderr.splitlines()[0]) == (4, f"clbalance: {done_word} node4")
    warnings = [line for line in done.stderr.splitlines() if "warning: " in line]
    parsed = dict(line.removeprefix("clbalance: warning: ").split(": ", 1) for line in warnings)
    assert parsed.keys() == {"node1", "node2", "node3"}
    assert "refused" in parsed["node1"]
    assert "timed out" in parsed["node2"]
    assert "python3" in parsed["node3"]


def test_a_mark_survives_its_nodes_reboot(lab: Lab, clbalance: Command) -> None:
    clbalance("drain", "node1", "--reason", "flaky")
    lab.node("node1").boot()
    assert node_of(clbalance, "node1")["state"] == "drained"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("drain",), "Missing option '--reason'", "`clbalance drain --help`"),
        (("drain", "node1"), "Missing option '--reason'", "`clbalance drain --help`"),
        (("drain", "--reason", "x"), "no nodes named", "`clbalance drain node[1-3] --reason TEXT`"),
        (("drain", "-x", "node1", "--reason", "x"), "no nodes named", "`-g GROUP`"),
        (("resume",), "no nodes named", "`clbalance resume node[1-3]`"),
        (("drain", "node1", "--reason", ""), "`--reason` cannot be ''", "1 to 200 printable"),
        (("drain", "node1", "--reason", "a\nb"), "`--reason` cannot be", "1 to 200 printable"),
        (("drain", "node1", "--reason", "\x1b[2J"), "`--reason` cannot be", "1 to 200 printable"),
        (("drain", "node1", "--reason", "x" * 201), "`--reason` cannot be", "1 to 200 printable"),
        (("drain", "node1", "--reason", "x", "--for", "soon"), "`--for` cannot be 'soon'", "like `90`"),
        (("drain", "node1", "--reason", "x", "--for", "0"), "`--for` cannot be '0'", "above 0"),
        (("drain", "@nowhere", "--reason", "x"), "nowhere", "cpu"),
        (("drain", "-oProxyCommand=x", "--reason", "x"), "node", ""),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_cannot_be_meant_marks_nothing(
    clbalance: Command, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    done = clbalance(*arguments)
    assert (done.rc, done.stdout) == (2, b"")
    said, _, hinted = done.stderr.partition("\nhint: ")
    assert message in said
    assert hint in hinted
    assert "\x1b" not in done.stderr
    assert node_of(clbalance, "node1")["drains"] == []


def test_the_longest_reason_fits_whatever_it_is_written_in(clbalance: Command) -> None:
    reason = "\N{OGHAM LETTER BEITH}\U0001f525" * 100
    assert clbalance("drain", "node1", "--reason", reason).rc == 0
    assert node_of(clbalance, "node1")["drains"][0]["reason"] == reason


def test_no_reason_that_somebody_put_on_a_node_reaches_the_terminal_raw(lab: Lab, clbalance: Command) -> None:
    home = lab.node("node1").folder.var / "clbalance-0"
    home.mkdir(mode=0o755)
    (home / "drain").write_text(json.dumps({"v": 1, "reason": HOSTILE, "by": HOSTILE, "at": 1, "until": None}))
    calls = [("load", "-w", "node1", "--format", form) for form in ("human", "plain", "json")]
    for arguments in (*calls, ("pick", "-w", "node1", "--explain"), ("run", "-w", "node1", "--", "true")):
        done = clbalance(*arguments)
        shown = done.stdout + done.stderr.encode()
        assert all(32 <= byte < 127 or byte in b"\n\t" for byte in shown), arguments
        assert done.rc == {"load": 0, "pick": 3, "run": 125}[arguments[0]]
    terminal = clbalance.on_terminal("load", "-w", "node1", "--color", "never", columns=140)
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.printed


LIAR = r"""#!/bin/sh
printf '\036CLB1 %s {"ev":"hello","protocol":2,"python":"3","uid":0,"node_dir":"/"}\n' "$4"
printf '\036CLB1 %s {"ev":"refused","job":"","kind":"x","why":WHY}\n' "$4"
exec cat >/dev/null
"""


def test_no_refusal_in_a_nodes_own_words_reaches_the_terminal_raw(lab: Lab, clbalance: Command) -> None:
    liar = lab.node("node1").folder.bin / "python3"
    liar.write_text(LIAR.replace("WHY", json.dumps(HOSTILE).replace("\\", "\\\\")))
    liar.chmod(0o755)
    for arguments, rc in ((("drain", "node1", "--reason", "x"), 4), (("run", "-w", "node1", "--", "true"), 125)):
        done = clbalance(*arguments)
        assert (done.rc, "owned" in done.stderr) == (rc, True)
        assert done.stderr.replace("\n", "").isprintable(), done.stderr


def test_quiet_says_nothing_of_what_went_well(clbalance: Command) -> None:
    done = clbalance("drain", "-q", "node1", "--reason", "x")
    assert (done.rc, done.stderr) == (0, "")
