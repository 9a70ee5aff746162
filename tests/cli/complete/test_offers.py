"""What is offered where, of names that are known."""

from pathlib import Path

import pytest

from clbalance.cli.complete.candidates import answer_for
from clbalance.cli.complete.commands import Command, Value
from clbalance.cli.complete.known import KnownNames
from clbalance.cli.complete.wanted import Wanted
from tests.cli import command as called

from .conftest import HOSTILE, NODES, Ask

pytestmark = pytest.mark.usefixtures("state")
ALL_NODES = [*sorted(NODES), "silent3"]


def test_playbooks_are_offered_by_name_and_as_files_of_this_folder(ask: Ask, alone: called.Command) -> None:
    own = alone.folder / "config" / "clbalance" / "playbooks"
    own.mkdir(parents=True)
    alone.env["XDG_CONFIG_HOME"] = str(alone.folder / "config")
    for name in ("zz-mine.yml", "zz-$(touch pwned).yml", ".zz-hidden.yml", "zz-notes.txt"):
        (own / name).touch()
    (alone.folder / "zz-here.yaml").touch()
    assert ask("play", "zz-") == ["zz-mine", "zz-here.yaml"]
    assert ask("play", "./") == ["files"]


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["lo"], ["load", "logs"]),
        (["play", "--show", ""], ["5", "4", "3", "2", "1", "last"]),
        (["play", "--continue", ""], ["3", "2"]),
        (["play", "--rollback", ""], ["4", "2", "1"]),
        (["play", "--rollback", "-w", "node"], ["node1", "node2"]),
        (["lab", "st"], ["status"]),
        (["config", "sh"], ["show"]),
        (["help", "lab", "do"], ["down"]),
        (["load", "-w", "node"], ["node1", "node2"]),
        (["load", "-wnode"], ["-wnode1", "-wnode2"]),
        (["load", "-Swnode"], ["-Swnode1", "-Swnode2"]),
        (["load", "--nodes=node"], ["--nodes=node1", "--nodes=node2"]),
        (["load", "-w", "node1,no"], ["node1,node2"]),
        (["load", "-w", "node1,@"], ["node1,@gpu", "node1,@cpu"]),
        (["load", "-w", "@gpu&@c"], ["@gpu&@cpu"]),
        (["load", "-w", "@slurm:"], ["@slurm:batch"]),
        (["load", "-w", "node[1-"], []),
        (["load", "-g", ""], ["gpu", "cpu"]),
        (["load", "-g", "slurm:"], ["slurm:batch"]),
        (["load", "-g", "gpu", "--js"], ["--json"]),
        (["load", "--js"], ["--json"]),
        (["load", "--json", "--js"], []),
        (["load", "-w", "node1", "-w"], ["-w"]),
        (["drain", "node1", "node"], ["node2"]),
        (["drain", "--reason", "-w", "node"], ["node1", "node2"]),
        (["drain", "--", "node"], ["node1", "node2"]),
        (["cancel", "1"], [*map(str, range(17, 9, -1)), "1"]),
        (["cancel", "t"], ["train"]),
        (["logs", "s"], ["sweep"]),
        (["logs", "last", "--e"], ["--err"]),
        (["wait", "l"], ["last"]),
        (["wait", "last", "l"], []),
        (["run", "--after", "sw"], ["sweep"]),
        (["pick", "--policy", "p"], ["pack", "p2c"]),
        (["pick", "--pick", ""], ["all"]),
        (["run", "--engine", ""], ["ssh", "slurm"]),
        (["drain", "--engine=sl"], ["--engine=slurm"]),
        (["pick", "--prefer", ""], ["rack=r1"]),
        (["pick", "--same", ""], ["rack"]),
        (["pick", "--tolerate", ""], ["out"]),
        (["load", "--format", ""], ["human", "json", "plain"]),
        (["history", "--index", "psi_m"], ["psi_mem"]),
        (["cancel", "--signal", "US"], ["USR1", "USR2"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["pick", "--where", ""], []),
        (["run", "-l", ""], []),
        (["nosuch", ""], []),
        (["run", ""], ["files"]),
        (["run", "job.sh", "--js"], ["files"]),
        (["run", "-w", "node1", "job.sh", ""], ["files"]),
        (["run", "--", ""], ["commands"]),
        (["run", "--", "ls", ""], ["files"]),
        (["run", "--output", ""], ["files"]),
        (["run", "--output=$HO"], ["files"]),
        (["lab", "up", "--dir", ""], ["folders"]),
        (["config", "check", ""], ["files"]),
        (["replay", "a.swf", ""], ["files"]),
    ],
    ids=lambda words: " ".join(words) or "nothing",
)
def test_what_may_stand_at_the_cursor_is_offered(ask: Ask, typed: list[str], offered: list[str]) -> None:
    assert ask(*typed) == offered


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("", ["failed", "timeout"]),
        ("fa", ["failed"]),
        ("failed,", ["failed,timeout"]),
        ("FAILED,TI", ["FAILED,TIMEOUT"]),
        ("-ti", ["-timeout"]),
        ("failed,-ti", ["failed,-timeout"]),
        ("$(reboot),ti", []),
    ],
)
def test_of_a_list_the_last_element_is_completed(text: str, offered: list[str]) -> None:
    command = Command(help="", options=(), arguments=(), commands={}, mixed=True)
    value = Value("STATES", ("failed", "timeout"))
    found = answer_for(Wanted(command, text, value=value), KnownNames(None), is_plain_word=True)
    assert [one.word for one in found.candidates] == offered


def test_nodes_and_groups_are_offered_together(ask: Ask) -> None:
    assert ask("load", "-x", "") == [*ALL_NODES, "@gpu", "@cpu"]


def test_a_verb_without_arguments_offers_its_options_at_once(ask: Ask) -> None:
    assert "--json" in ask("config", "path", "")
    assert "-q" not in ask("config", "path", "")
    assert "-q" in ask("config", "path", "-")


@pytest.mark.parametrize(
    "typed",
    [["load", "-w"], ["load", "-g"], ["cancel"], ["pick", "--prefer"], ["pick", "--same"], ["pick", "--tolerate"]],
)
def test_a_name_that_a_shell_would_expand_is_never_offered(ask: Ask, typed: list[str]) -> None:
    found = ask(*typed, "")
    assert found
    assert not set(HOSTILE).intersection(word.lstrip("@") for word in found)
    for begun in HOSTILE:
        assert begun not in ask(*typed, begun) or begun == "--all"


@pytest.mark.parametrize("damage", [b"", b"\x00\xff" * 5000, b"{}", b"[" * 100_000, b'{"version": "0.1.0"}'])
@pytest.mark.parametrize("file", ["completion-table.json", "completion-names", "state.db", "clb.yaml"])
def test_a_damaged_file_only_costs_what_it_has(ask: Ask, state: Path, file: str, damage: bytes) -> None:
    ask("lo")
    (state / file).write_bytes(damage)
    assert ask("lo") == ["load", "logs"]
    for typed in (["load", "-w", ""], ["load", "-g", ""], ["load", "-w", "@clb:"], ["cancel", ""]):
        ask(*typed)


def test_without_a_state_folder_verbs_are_offered_all_the_same(alone: called.Command, state: Path) -> None:
    state.chmod(0o777)
    done = alone("lo", env={"_CLBALANCE_COMPLETE": "words"})
    assert (done.lines[1:], done.stderr) == (["load\t" + line(alone, "load"), "logs\t" + line(alone, "logs")], "")


def line(command: called.Command, verb: str) -> str:
    """The line of a verb in the list of verbs."""
    return next(one.split(maxsplit=1)[1] for one in command("--help").lines if one.split()[:1] == [verb])


def test_a_call_that_no_script_of_ours_makes_gets_nothing(alone: called.Command) -> None:
    for way in ("complete_bash", "", "line"):
        assert alone("run", "job.sh", "x", env={"_CLBALANCE_COMPLETE": way}).stdout == b""
