"""The limits of a node as the probe brings them along, and who our user is there."""

import grp
import os
import pwd

from clbalance.model import NodeLimits, Unknown
from clbalance.probe.frame import Section
from clbalance.probe.limits import parse_limits

from .conftest import Node

TEXT = "Default MaxJobs=1  # each\n\nGroup=nobodys MaxCpus=2"


def test_the_text_comes_as_it_is_with_our_names(node: Node) -> None:
    (node.root / "limits.conf").write_text(f"{TEXT}\n")
    limits = node.reading().limits
    assert isinstance(limits, NodeLimits)
    assert limits.text == f"{TEXT}\n"
    assert limits.users == {pwd.getpwuid(os.geteuid()).pw_name, str(os.geteuid())}
    assert {grp.getgrgid(os.getegid()).gr_name, str(os.getegid())} <= limits.groups


def test_a_node_without_limits_tells_none(node: Node) -> None:
    assert node.reading().limits is None


def test_limits_that_the_node_will_not_trust_are_unknown(node: Node) -> None:
    file = node.root / "limits.conf"
    file.write_text(f"{TEXT}\n")
    file.chmod(0o666)
    assert node.reading().limits == Unknown(reason=f"others than root may write to {file}")
    file.rename(node.root / "elsewhere")
    file.symlink_to("elsewhere")
    assert node.reading().limits == Unknown(reason="no regular file, or reached by a link")


def test_a_text_that_is_longer_than_the_node_reads_is_unknown(node: Node) -> None:
    (node.root / "limits.conf").write_text("Default MaxJobs=1\n" + "#" * (64 << 10) + "\n")
    assert node.reading().limits == Unknown(reason="the file is larger than 64 KiB")


def test_limits_of_another_user_are_unknown() -> None:
    entries = "entry 81a4 0 /etc/clbalance/limits.conf\nentry 43ff 0 /sticky\nentry 41ed 7 /etc\n"
    section = Section(text=f"{entries}user\nann\ngroups\na\ntext\n", status="0")
    assert parse_limits(section, 5) == Unknown(reason="/etc belongs to uid 7, not to root")
    assert isinstance(parse_limits(section, 7), NodeLimits), "as in the lab"


def test_limits_that_were_cut_off_are_unknown() -> None:
    assert parse_limits(Section(text="user\nann\ngroups\na", status=None), 5) == Unknown(reason="timed out")
    assert parse_limits(Section(text="user\nann\ngroups\na", status="0"), 5) == Unknown(reason="not told")
    whole = Section(text="user\nann\ngroups\na b\n5 6\ntext\nDefault MaxJobs=1", status="0")
    assert parse_limits(whole, Unknown(reason="not told")) == Unknown(reason="not told")
    told = parse_limits(whole, 5)
    assert told == NodeLimits(
        text="Default MaxJobs=1\n", users=frozenset({"ann", "5"}), groups=frozenset({"a", "b", "5", "6"})
    )
