"""What `doctor` finds, folded for people and one by one for programs."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.cli.admin.doctor import health_exit_code, health_report
from clbalance.errors import ExitCode
from clbalance.model import Cause, Unknown
from clbalance.model.checkup import Examination, Finding, wrong
from tests.policy.health import examined
from tests.render.examples import DISPLAYS
from tests.render.examples.doctor import HERE, cluster, hostile, mute


def test_equal_findings_of_several_nodes_are_one_line_and_two_in_json() -> None:
    report = health_report([], cluster())
    assert [one.node_set for one in report.folded if one.check == "python"][:1] == ["node[2-3]"]
    assert [one.node for one in report.findings if one.what.startswith("no python3")] == ["node2", "node3"]


def test_hints_name_the_node_where_there_is_one() -> None:
    report = health_report([], [mute("a", Cause.DNS), mute("b", Cause.AUTH), mute("c", Cause.AUTH)])
    assert [one.hint.split("`")[1] for one in report.folded] == ["getent hosts a", "ssh-copy-id NODE"]
    assert [one.hint.split("`")[1] for one in report.findings][1:] == ["ssh-copy-id b", "ssh-copy-id c"]


@pytest.mark.parametrize(
    ("here", "nodes", "summary", "code"),
    [
        ([], [], "this host: no problems", ExitCode.DONE),
        ([], [examined("a")], "this host and 1 node: no problems", ExitCode.DONE),
        (HERE, [examined("a")], "this host and 1 node: no problems, 1 note", ExitCode.DONE),
        (
            [wrong("ssh", "none", "")],
            [mute("a", Cause.DNS), mute("b", Cause.DNS)],
            "this host and 2 nodes (2 silent): 2 problems",
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
    assert report.human(DISPLAYS["80"]) == report.plain() == ""


def test_what_is_not_there_is_null_and_what_is_unknown_has_its_reason() -> None:
    lost = Unknown(reason="timed out")
    nodes = [examined("a", python=None, logind=None), examined("b", python=lost, logind=lost, clock_offset_s=lost)]
    none, unknown = json.loads(DISPLAYS["json"].text(health_report([], nodes)))["nodes"]
    keys = ("python", "python_version", "kill_user_processes", "lingers")
    assert [none[key] for key in keys] == [unknown[key] for key in keys] == [None] * 4
    assert none["unknown"] == {}
    assert unknown["unknown"] == dict.fromkeys([*keys, "clock_offset_s"], "timed out")


@settings(deadline=None)
@given(st.text(st.characters() | st.sampled_from("\x1b\r\n\t\x7f\u202e\u2028\udc80"), max_size=40))
def test_plain_lines_have_five_fields_whatever_a_node_tells(text: str) -> None:
    assert all(line.count("\t") == 4 for report in hostile(text, text) for line in report.plain().splitlines())
