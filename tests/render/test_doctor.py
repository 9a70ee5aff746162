"""What `doctor` shows, to the letter, and that nothing of it acts on a terminal."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.checkup import Entry, Examination, Finding, Folder, Logind, Mount, NodeFolders, Python, note, wrong
from clbalance.cli.health_report import health_exit_code, health_report
from clbalance.errors import ExitCode
from clbalance.model import Cause, NodeName, Silent, TmpSpace, Unknown
from clbalance.render.health import HealthReport
from clbalance.render.renderer import Format, Renderer, renderer
from tests.policy.health import examined, folder, usual

_FORMS: dict[str, Renderer] = {
    "80": renderer(Format.HUMAN, terminal_width=80, color=False),
    "pipe": renderer(Format.HUMAN, terminal_width=None, color=False),
    "json": renderer(Format.JSON, terminal_width=None, color=False),
    "plain": renderer(Format.PLAIN, terminal_width=None, color=False),
}
_HERE = [note("state", "`/home/u/.local/state` is on nfs4", "set `CLBALANCE_STATE_DIR`")]


def _silent(name: str, cause: Cause, why: str = "") -> Silent:
    return Silent(node=NodeName(name), cause=cause, why=why)


def _cluster() -> list[Examination]:
    return [
        examined("node1"),
        examined("node2", python=None),
        examined("node3", python=None, clock_offset_s=3.0),
        examined("node4", folders=usual(mount=Mount(root="/", point="/var/tmp", type="nfs4"))),
        examined(
            "node5",
            python=Python(path="/usr/bin/python3", version=Unknown(why="it failed with 1")),
            logind=Logind(kills_user_processes=True, lingers=False),
        ),
        examined("node6", folders=NodeFolders(made=folder("/var/lib/clbalance", mode=0o755), usual=folder())),
        _silent("node7", Cause.REFUSED, "connect to host node7 port 22: Connection refused"),
        _silent("node8", Cause.REFUSED, "connect to host node8 port 22: Connection refused"),
        _silent("node9", Cause.HOSTKEY_CHANGED, "REMOTE HOST IDENTIFICATION HAS CHANGED!"),
    ]


@pytest.mark.parametrize("form", _FORMS)
def test_doctor(form: str, golden: Callable[[str, str], None]) -> None:
    text = _FORMS[form].doctor(health_report(_HERE, _cluster()))
    pretty = json.dumps(json.loads(text), indent=1) + "\n" if form == "json" else text
    golden(f"doctor-{form}.{'json' if form == 'json' else 'txt'}", pretty)


def test_equal_findings_of_several_nodes_are_one_line_and_two_in_json() -> None:
    report = health_report([], _cluster())
    assert [one.node_set for one in report.folded if one.check == "python"][:1] == ["node[2-3]"]
    assert [one.node for one in report.findings if one.what.startswith("no python3")] == ["node2", "node3"]


def test_hints_name_the_node_where_there_is_one() -> None:
    report = health_report([], [_silent("a", Cause.DNS), _silent("b", Cause.AUTH), _silent("c", Cause.AUTH)])
    assert [one.hint.split("`")[1] for one in report.folded] == ["getent hosts a", "ssh-copy-id NODE"]
    assert [one.hint.split("`")[1] for one in report.findings][1:] == ["ssh-copy-id b", "ssh-copy-id c"]


@pytest.mark.parametrize(
    ("here", "nodes", "summary", "code"),
    [
        ([], [], "this host: nothing is wrong", ExitCode.DONE),
        ([], [examined("a")], "this host and 1 node: nothing is wrong", ExitCode.DONE),
        (_HERE, [examined("a")], "this host and 1 node: nothing is wrong, 1 note", ExitCode.DONE),
        (
            [wrong("ssh", "none", "")],
            [_silent("a", Cause.DNS), _silent("b", Cause.DNS)],
            "this host and 2 nodes (2 silent): 2 things wrong",
            ExitCode.SOME_NODES_FAILED,
        ),
    ],
)
def test_the_sum_of_it_and_the_exit_code(
    here: list[Finding], nodes: list[Examination], summary: str, code: ExitCode
) -> None:
    report = health_report(here, nodes)
    assert (report.summary, health_exit_code(report)) == (summary, code)


def test_people_see_nothing_where_there_is_nothing_to_say() -> None:
    report = health_report([], [examined("a")])
    assert _FORMS["80"].doctor(report) == _FORMS["plain"].doctor(report) == ""


def test_what_is_not_there_is_null_and_what_is_unknown_has_its_reason() -> None:
    lost = Unknown(why="timed out")
    nodes = [examined("a", python=None, logind=None), examined("b", python=lost, logind=lost, clock_offset_s=lost)]
    none, unknown = json.loads(_FORMS["json"].doctor(health_report([], nodes)))["nodes"]
    keys = ("python", "python_version", "kill_user_processes", "lingers")
    assert [none[key] for key in keys] == [unknown[key] for key in keys] == [None] * 4
    assert none["unknown"] == {}
    assert unknown["unknown"] == dict.fromkeys([*keys, "clock_offset_s"], "timed out")


_TEXT = st.text(st.characters() | st.sampled_from("\x1b\x9b\x07\r\n\t\x7f[]/;\u202e\u2028\udc80"), max_size=40)


def _hostile(text: str) -> HealthReport:
    path = Folder(
        path=text,
        real=text,
        entry=Entry(path=text, uid=7, mode=0),
        is_link=False,
        writable=False,
        homes=(),
        mount=Mount(root=text, point=text, type=text),
        space=TmpSpace(path=text, total_bytes=1, free_bytes=0),
    )
    examinations: list[Examination] = [
        examined("a", folders=NodeFolders(named=path), python=Python(path=text, version=Unknown(why=text))),
        examined("b", folders=NodeFolders(usual=Unknown(why=text)), clock_offset_s=float("inf")),
        _silent("c", Cause.NO_SHELL, text),
    ]
    return health_report([wrong("settings", text, text)], examinations)


@settings(deadline=None)
@given(_TEXT)
def test_no_form_lets_a_control_character_out(text: str) -> None:
    report = _hostile(text)
    for name, form in _FORMS.items():
        shown = form.doctor(report)
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", shown), name
        assert shown.endswith("\n")
    assert all(line.count("\t") == 4 for line in _FORMS["plain"].doctor(report).splitlines())
