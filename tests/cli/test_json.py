"""`--json` is an option of every verb that says something: one value, whatever becomes of the call."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clbalance.cli.app import command_for
from clbalance.cli.verbs import VERBS
from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done
from tests.cli.held_jobs import detached, held, let_go

WITHOUT = {
    "metrics": "its form is Prometheus' own; `load --json` has the same figures",
    "shell": "its lines say so themselves, such as `load --json`",
    "completion": "its form is that of a shell",
    "help": "its form is that of a text to read",
    "lab load": "it says nothing",
    "lab kill": "it says nothing",
    "lab boot": "it says nothing",
    "lab hang": "it says nothing",
    "lab thaw": "it says nothing",
}
"""The verbs that have no `--json`, each with the reason."""


def _leaves(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(words), command
        return
    for name, one in inner.items():
        yield from _leaves(one, (*words, name))


COMMANDS = dict(leaf for verb in VERBS for leaf in _leaves(command_for((verb,)), ()))


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_verb_takes_json_or_has_a_reason(verb: str) -> None:
    takes_it = any("--json" in one.opts for one in COMMANDS[verb].params)
    assert takes_it is (verb not in WITHOUT), "an option, or a reason in WITHOUT; not both"


def document(done: Done) -> Any:
    """The one value on standard output."""
    (line,) = done.lines
    found = json.loads(line)
    assert found.pop("schema") == 1
    return found


def test_run_gives_the_job_its_copies_their_ends_and_their_output(clbalance: Command) -> None:
    text = "echo out $CLBALANCE_NODEID; printf '\\377x' >&2; exit $CLBALANCE_NODEID"
    done = clbalance("run", "-w", "node[1-2]", "--pick", "2", "--json", "-c", text)
    (job,) = document(done)["jobs"]
    assert done.rc == 1
    assert (job["id"], job["state"], job["rc"], job["node_set"]) == (1, "FAILED", 1, "node[1-2]")
    assert [(one["node"], one["rc"]) for one in job["copies"]] == [("node1", 0), ("node2", 1)]
    assert [one["stdout"]["text"] for one in job["copies"]] == ["out 0\n", "out 1\n"]
    for one in job["copies"]:
        assert (one["stderr"]["text"], base64.b64decode(one["stderr"]["base64"])) == (None, b"\xffx")
    assert "job 1 on node[1-2]" in done.stderr, "remarks are said as ever"
    assert "FAILED" in done.stderr, "and so is how it ended"


def test_output_of_more_than_a_mebibyte_is_in_a_file_whole(clbalance: Command) -> None:
    both = "head -c 1048576 /dev/zero | tr '\\0' a; head -c 1048577 /dev/zero | tr '\\0' b >&2"
    (job,) = document(clbalance("run", "-w", "node1", "--json", "-c", both))["jobs"]
    (copy,) = job["copies"]
    assert (len(copy["stdout"]["text"]), copy["stdout"]["path"]) == (1 << 20, None)
    assert (copy["stderr"]["text"], copy["stderr"]["bytes"]) == (None, (1 << 20) + 1)
    assert Path(copy["stderr"]["path"]).read_bytes() == b"b" * ((1 << 20) + 1)
    Path(copy["stderr"]["path"]).unlink()


def test_output_that_went_to_a_file_is_named_by_its_path(clbalance: Command) -> None:
    (job,) = document(clbalance("run", "-w", "node1", "--json", "--output", "%n.out", "-c", "echo x"))["jobs"]
    path = job["copies"][0]["stdout"]["path"]
    assert (path, Path(path).read_text()) == (str(clbalance.folder / "node1.out"), "x\n")


def test_tasks_come_with_their_output(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--json", "--tasks", "-", stdin=b"echo a\nexit 3\n")
    (job,) = document(done)["jobs"]
    assert (done.rc, job["state"], job["rc"]) == (3, "FAILED", 3)
    assert [(one["task"], one["rc"], one["stdout"]["text"]) for one in job["tasks"]] == [(1, 0, "a\n"), (2, 3, "")]


def test_a_job_that_cannot_be_run_gives_an_error(clbalance: Command) -> None:
    for call, code in (
        (("--pick", "9", "--json", "--", "true"), 125),
        (("--json", "nosuch.sh"), 2),
        (("--json", "--nosuch"), 2),
        (("--json", "-b", "--", "true"), 2),
    ):
        done = clbalance("run", "-w", "node1", *call)
        error = document(done)["error"]
        assert (done.rc, error["exit_code"]) == (code, code)
        assert error["message"] in done.stderr


def test_json_after_the_script_is_the_scripts_own(clbalance: Command) -> None:
    (clbalance.folder / "job.sh").write_text("echo $1\n")
    assert clbalance("run", "-w", "node1", "job.sh", "--json").text == "--json\n"
    done = clbalance("run", "-w", "node1", "--pick", "9", "job.sh", "--json")
    assert (done.rc, done.stdout) == (125, b"")


def test_a_detached_job_is_shown_by_the_verbs_that_come_after(clbalance: Command) -> None:
    begun = clbalance("run", "-w", "node1", "--detach", "--json", "-c", f"echo x; {held('exit 4')}")
    (job,) = document(begun)["jobs"]
    assert (job["id"], job["state"], job["node_set"]) == (1, "RUNNING", "node1")
    assert [(one["node"], one["rank"], one["state"]) for one in job["copies"]] == [("node1", 0, "RUNNING")]
    (job,) = document(clbalance("logs", "1", "--json"))["jobs"]
    assert [(one["node"], one["state"], one["rc"]) for one in job["copies"]] == [("node1", "RUNNING", None)]
    let_go(clbalance)
    waited = clbalance("wait", "1", "--json")
    (job,) = document(waited)["jobs"]
    assert (waited.rc, job["state"], job["rc"], job["copies"][0]["stdout"]) == (4, "FAILED", 4, None)
    for call in (("logs", "1"), ("logs", "1", "--err"), ("attach", "1")):
        (job,) = document(clbalance(*call, "--json"))["jobs"]
        assert job["copies"][0]["stdout"]["text"] == "x\n"
    (job,) = document(clbalance("requeue", "1", "--json"))["jobs"]
    assert (job["attempt"], job["copies"][0]["stdout"]["text"]) == (2, "x\n")


def test_cancel_says_what_became_of_each_job(clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--", "true")
    detached(clbalance, "-w", "node1", "-c", held())
    jobs = document(clbalance("cancel", "1-2", "--json"))["jobs"]
    assert {one["id"]: one["result"] for one in jobs} == {1: "COMPLETED already", 2: "CANCELLED"}
    assert document(clbalance("cancel", "--all", "--json")) == {"jobs": []}


def test_drain_and_resume_say_what_became_of_each_node(lab: Lab, clbalance: Command) -> None:
    drained = clbalance("drain", "node[1-2]", "--reason", "fan", "--json")
    rows = [{"name": name, "result": "drained", "reason": None} for name in ("node1", "node2")]
    assert document(drained) == {"nodes": rows}
    detached(clbalance, "-w", "node4", "-c", held())
    waited = clbalance("drain", "node[3-4]", "--reason", "fan", "--deadline", "1", "--json")
    assert (waited.rc, [one["result"] for one in document(waited)["nodes"]]) == (4, ["drained", "draining"])
    let_go(clbalance)
    lab.node("node2").kill()
    resumed = clbalance("resume", "node[1-2]", "node5", "--json")
    results = {one["name"]: (one["result"], one["reason"] is None) for one in document(resumed)["nodes"]}
    assert (resumed.rc, results["node1"], results["node5"]) == (4, ("resumed", True), ("unchanged", False))
    assert results["node2"] == ("failed", False)


def test_the_settings_are_checked_in_json(alone: Command) -> None:
    (alone.folder / "clbalance.toml").write_text("[ssh]\nfanout = 8\n")
    assert document(alone("config", "check", "--json")) == {"files": [str(alone.folder / "clbalance.toml")]}
    (alone.folder / "clbalance.toml").write_text("[ssh]\nfanout = 0\n")
    done = alone("config", "check", "--json")
    assert (done.rc, document(done)["error"]["exit_code"]) == (2, 2)
