"""What a line means, and that commands for the nodes are left as they were typed."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import UsageError
from clbalance.policy.shell.line import (
    Action,
    ChangeSet,
    Leave,
    RunHere,
    RunOnNodes,
    RunVerb,
    ShowHelp,
    ShowSet,
    UseNodes,
    actions_of,
)

VERBS = {"load", "run", "pick", "help", "cancel"}


def verb(*words: str, taken_by: str = "") -> RunVerb:
    return RunVerb(words=words, taken_by=taken_by)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("", ()),
        ("   # a comment", ()),
        ("uptime", (RunOnNodes(command="uptime"),)),
        ("ps aux | grep 'x;y' > /tmp/z; date", (RunOnNodes(command="ps aux | grep 'x;y' > /tmp/z; date"),)),
        ("echo 'open", (RunOnNodes(command="echo 'open"),)),
        ("load", (verb("load"),)),
        ("load; uptime; pick", (verb("load"), RunOnNodes(command="uptime; pick"))),
        ("load ; ; pick", (verb("load"), RunOnNodes(command="; pick"))),
        ("load -w 'a b'", (verb("load", "-w", "a b"),)),
        ("load --where 'r1m > 2; x'", (verb("load", "--where", "r1m > 2; x"),)),
        ("load | grep 'a;b' | head >x; ?", (verb("load", taken_by="| grep 'a;b' | head >x"), ShowSet())),
        ("load>out", (verb("load", taken_by=">out"),)),
        ("help", (ShowHelp(),)),
        ("help run", (verb("help", "run"),)),
        ("command load", (RunOnNodes(command="command load"),)),
        ("use @gpu!gpu3", (UseNodes(text="@gpu!gpu3"),)),
        ("use node1 node2", (UseNodes(text="node1,node2"),)),
        ("use", (UseNodes(text=""),)),
        ("+node[1-4]", (ChangeSet(operator="+", text="node[1-4]"),)),
        ("- node1; &@gpu", (ChangeSet(operator="-", text="node1"), ChangeSet(operator="&", text="@gpu"))),
        ("@failed", (UseNodes(text="@failed"),)),
        ("@gpu&@idle; uptime", (UseNodes(text="@gpu&@idle"), RunOnNodes(command="uptime"))),
        ("?", (ShowSet(),)),
        ("!ls; date", (RunHere(command="ls; date"),)),
        ("exit; load", (Leave(code=None), verb("load"))),
        ("quit 3", (Leave(code=3),)),
        ("loadx", (RunOnNodes(command="loadx"),)),
    ],
)
def test_a_line_means(line: str, meant: tuple[Action, ...]) -> None:
    assert actions_of(line, VERBS) == meant


_SENSELESS = ["load 'x", 'pick "', "load \\", "load | grep 'x", "exit soon", "? x", "exit 256"]
_TAKEN = ["use node1 | cat", "? >file", "+node1 > file", "help | cat"]


@pytest.mark.parametrize("line", [*_SENSELESS, *_TAKEN, "@failed uptime"])
def test_a_line_of_ours_that_makes_no_sense_is_told(line: str) -> None:
    with pytest.raises(UsageError):
        actions_of(line, VERBS)


@given(st.text(alphabet="abl|;>'\"\\ !?+-&#\n\u00e9\udcff", max_size=20))
def test_any_line_has_a_meaning_or_an_error(line: str) -> None:
    with contextlib.suppress(UsageError):
        for action in actions_of(line, VERBS):
            assert not isinstance(action, RunOnNodes | RunHere) or line.rstrip().endswith(action.command)


@given(st.text(max_size=20))
def test_what_is_for_the_nodes_goes_there_whole(rest: str) -> None:
    line = f"command {rest}".strip()
    assert actions_of(line, VERBS) == (RunOnNodes(command=line),)
