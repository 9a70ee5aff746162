"""`jobs --usage`: cpu time and memory of what runs, asked for on its nodes."""

import json
from typing import Any

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.waiting import eventually

MIB = 1 << 20
HOLD = "import time; kept = bytearray(b'x') * (64 << 20); open('held', 'a').write('x'); time.sleep(600)"


def told(clbalance: Command, *arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(clbalance("jobs", "--json", *arguments).stdout)["jobs"])


def test_what_a_job_takes_is_summed_over_its_nodes_and_asked_for_only_then(clbalance: Command) -> None:
    number = clbalance("run", "--detach", "-w", "node[1-2]", "--pick", "2", "--", "python3", "-c", HOLD).text.strip()
    try:
        held = clbalance.folder / "held"
        eventually(lambda: held.exists() and held.read_text() == "xx")
        (job,) = told(clbalance, "--usage")
        assert (job["id"], job["state"]) == (int(number), "RUNNING")
        assert 128 * MIB <= job["mem_bytes"] < 400 * MIB
        assert 0 < job["cpu_s"] < 60
        header, line = clbalance("jobs", "--usage").lines
        assert line[: header.index("MEMUSED") + 7].endswith("M")
        assert "CPUTIME" in header
        (job,) = told(clbalance)
        assert (job["cpu_s"], job["mem_bytes"]) == (None, None)
        assert "MEM" not in clbalance("jobs").lines[0]
    finally:
        clbalance("cancel", number)


def test_a_silent_node_leaves_its_copy_out_and_delays_nobody_for_long(lab: Lab, clbalance: Command) -> None:
    number = clbalance("run", "--detach", "-w", "node3", "--", "sleep", "600").text.strip()
    try:
        lab.node("node3").hang()
        done = clbalance("jobs", "--usage", "-t", "1", "-u", "1")
        assert done.rc == 4
        assert "CPUTIME" not in done.lines[0]
    finally:
        lab.node("node3").thaw()
        clbalance("cancel", number)
