"""Names of users: asked for on nodes, and taken only if they were asked for."""

import os
import pwd

from clbalance.node import names_script
from clbalance.probe.frame import Section
from clbalance.probe.user_names import parse_user_names

from .conftest import Node


def test_every_shell_tells_the_names_of_uids_and_of_no_others(node: Node) -> None:
    own = os.getuid()
    section = node.sections(names_script({own, 4_000_000}))["names"]
    assert section.status == "2"  # not all have one
    assert parse_user_names(section, {own, 4_000_000}) == {own: pwd.getpwuid(own).pw_name}


def test_a_directory_service_that_hangs_costs_the_names_only(node: Node) -> None:
    node.program("getent", "echo alice:x:1001:; exec sleep 60")
    section = node.sections(names_script({1001}))["names"]
    assert section.status is None
    assert parse_user_names(section, {1001}) == {1001: "alice"}


def test_a_node_without_getent_tells_no_names(node: Node) -> None:
    node.program("getent", "exit 127")
    assert parse_user_names(node.sections(names_script({1001}))["names"], {1001}) == {}


def test_only_plausible_names_of_the_uids_that_were_asked_for_are_taken() -> None:
    lines = ("root:x:0:0", "bob:x:1001", "a b:x:1002:", ":x:1003:", f"{'x' * 41}:x:1004:", "e\x1b[31m:x:1005:", "f", "")
    found = parse_user_names(Section(text="\n".join(lines), status="0"), range(1001, 1009))
    assert found == {1001: "bob"}
