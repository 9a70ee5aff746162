"""The sections of a check-up become facts; what is cut, senseless or hostile becomes unknown, and never raises."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import TmpSpace, Unknown
from clbalance.model.checkup import Checkup, Entry, Folder, Logind, Mount, Python, SshdLimits
from clbalance.probe.checkup import (
    mount_of,
    parse_checkup,
    parse_clock,
    parse_folder,
    parse_logind,
    parse_python_version,
    parse_sshd_limits,
)
from clbalance.probe.frame import Section

from .answers import UNHURRIED

ROOT_MOUNT = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
PRIVATE = "99 27 254:0 /var/tmp/tmp.inst/alice /var/tmp rw shared:7 master:1 - ext4 /dev/vda rw"
FOLDER = f"""\
folder /var/tmp
writable
entry 43ff 0 /var/tmp
home 41ed 1000 /var/tmp/clbalance-1000
real /var/tmp
mount {ROOT_MOUNT}
inodes
Filesystem       Inodes  IUsed    IFree IUse% Mounted on
/dev/vda       16777216 830102 15947114    5% /
space
Filesystem     1024-blocks     Used Available Capacity Mounted on
/dev/vda         264212084 22863544  83527368      22% /
"""
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def section(text: str, status: str | None = "0") -> Section:
    return Section(text=text, status=status)


def parsed(text: str, status: str | None = "0") -> Folder:
    found = parse_folder(section(text, status))
    assert isinstance(found, Folder)
    return found


def test_a_folder_is_told_with_its_rights_its_mount_and_its_space() -> None:
    assert parsed(FOLDER) == Folder(
        path="/var/tmp",
        real="/var/tmp",
        entry=Entry(path="/var/tmp", uid=0, mode=0o41777),
        is_link=False,
        writable=True,
        homes=(Entry(path="/var/tmp/clbalance-1000", uid=1000, mode=0o40755),),
        mount=Mount(root="/", point="/", type="ext4"),
        space=TmpSpace(path="/var/tmp", total_bytes=264212084 << 10, free_bytes=83527368 << 10),
        free_inodes=15947114,
    )


@pytest.mark.parametrize("listing", ["btrfs 0 0 0 - /", "df: unrecognized option: i", "", "x -1 0 -1 5% /"])
def test_inodes_that_are_not_counted_are_not_told(listing: str) -> None:
    found = parsed(FOLDER.replace("/dev/vda       16777216 830102 15947114    5% /", listing))
    assert found.free_inodes is None
    assert isinstance(found.space, TmpSpace)


def test_no_folder_and_none_that_was_asked_for_are_none() -> None:
    assert parse_folder(None) is None
    assert parse_folder(section("", "3")) is None


@pytest.mark.parametrize(
    ("text", "status", "reason"),
    [
        ("", None, "timed out"),
        ("folder /var/tmp\n", None, "timed out"),
        ("", "4", "not an absolute path"),
        ("", "127", "no `stat`"),
        ("folder /var/tmp\nspace\n", "1", "failed with 1"),
        ("folder /a;rm\nentry 43ff 0 /a;rm\nspace\n", "0", "odd characters"),
        ("folder /$(x)\nentry 43ff 0 /\nspace\n", "0", "odd characters"),
        ("folder /var/tmp\nentry 43ff 99999999999 /var/tmp\nspace\n", "0", "failed with 0"),
    ],
)
def test_a_folder_that_is_not_told_is_unknown(text: str, status: str | None, reason: str) -> None:
    found = parse_folder(section(text, status))
    assert isinstance(found, Unknown)
    assert reason in found.reason


def test_a_df_that_hung_costs_the_space_only() -> None:
    found = parsed(FOLDER.partition("Filesystem")[0], None)
    assert found.space == Unknown(reason="timed out")
    assert found.mount == Mount(root="/", point="/", type="ext4")


def test_a_folder_without_a_mount_is_told_so() -> None:
    assert isinstance(parsed(FOLDER.replace("mount ", "")).mount, Unknown)


@pytest.mark.parametrize(
    ("path", "lines", "root"),
    [
        pytest.param("/var/tmp", [ROOT_MOUNT, PRIVATE], "/var/tmp/tmp.inst/alice", id="the longest point counts"),
        pytest.param("/var/tmp", [PRIVATE, ROOT_MOUNT], "/var/tmp/tmp.inst/alice", id="in any order"),
        pytest.param("/var/tmpx", [ROOT_MOUNT, PRIVATE], "/", id="a longer name lies elsewhere"),
        pytest.param("/a", [ROOT_MOUNT, ROOT_MOUNT.replace(":0 /", ":0 /b")], "/b", id="the later hides the earlier"),
        pytest.param("/a b", [r"1 1 0:1 /x\040y /a\040b rw - ext4 d rw"], "/x y", id="blanks are octal"),
    ],
)
def test_a_path_lies_on_its_nearest_mount(path: str, lines: list[str], root: str) -> None:
    found = mount_of(path, lines)
    assert found is not None
    assert found.root == root


def test_lines_that_are_no_mounts_are_passed_over() -> None:
    assert mount_of("/a", ["", "x", " - ", "1 2 3 / / rw - \x1b rw", "1 2 3 / / rw"]) is None


@pytest.mark.parametrize(
    ("text", "status", "expected"),
    [
        ("/usr/bin/python3\n3.11.2", "0", Python(path="/usr/bin/python3", version=(3, 11, 2))),
        ("", "3", None),
        ("", None, Unknown(reason="timed out")),
        ("/p\n", None, Unknown(reason="timed out")),
        ("/p\nno module named x", "1", Python(path="/p", version=Unknown(reason="no module named x"))),
        ("/p\n", "126", Python(path="/p", version=Unknown(reason="it failed with 126"))),
        ("/p\n3.11.2", "1", Python(path="/p", version=Unknown(reason="3.11.2"))),
        ("/p\n99999.1.1", "0", Python(path="/p", version=Unknown(reason="99999.1.1"))),
        ("alias python3\n3.6.0", "0", Unknown(reason="the path of python3 does not parse")),
    ],
)
def test_python_is_told_with_its_version(text: str, status: str | None, expected: object) -> None:
    assert parse_python_version(section(text, status)) == expected


@pytest.mark.parametrize(
    ("message", "configured", "kills"),
    [
        pytest.param("b true", "", True, id="logind's own word"),
        pytest.param("b false", "KillUserProcesses=yes", False, id="is worth more than its file"),
        pytest.param("", "KillUserProcesses = on\n", True, id="the file will do"),
        pytest.param("", "KillUserProcesses=yes\nKillUserProcesses=no", False, id="its last word counts"),
        pytest.param("", "KillUserProcesses=no\nKillUserProcesses=maybe", False, id="what is no answer does not"),
        pytest.param("linger", "", None, id="nothing said is unknown"),
        pytest.param("b maybe", "#KillUserProcesses=yes", None, id="nonsense is unknown"),
    ],
)
def test_what_logind_does_is_told_by_itself_or_by_its_file(message: str, configured: str, kills: bool | None) -> None:
    found = parse_logind(section(message), section(configured))
    assert isinstance(found, Logind)
    assert (None if isinstance(found.kills_user_processes, Unknown) else found.kills_user_processes) == kills
    assert found.lingers == (message == "linger")


def test_no_logind_is_none_and_no_word_of_it_unknown() -> None:
    assert parse_logind(section("", "3"), None) is None
    assert parse_logind(None, None) == Unknown(reason="not told")


@pytest.mark.parametrize(
    ("message", "configured", "limits"),
    [
        ("maxsessions 10\nmaxstartups 10:30:100\nmaxauthtries 6", "", (10, 10)),
        ("maxsessions 10", "MaxSessions 2\nMaxStartups 5", (10, 5)),
        ("", '  MaxSessions = 4\nmaxsessions 9\nMaxStartups "3:1:2"', (4, 3)),
        ("", "MaxSessions many\nMaxStartups -1", (None, None)),
        ("", "MaxSessions 99999999999", (None, None)),
        ("", "MaxSessions " + " " * 10_000, (None, None)),
        ("", "", (None, None)),
    ],
)
def test_the_first_value_of_sshd_counts(message: str, configured: str, limits: tuple[int | None, int | None]) -> None:
    found = parse_sshd_limits(section(message, "1"), section(configured))
    assert found == SshdLimits(max_sessions=limits[0], max_startups=limits[1])


@pytest.mark.parametrize(
    ("node_s", "took_s", "offset"),
    [
        pytest.param(0.0, 0.2, 0.0, id="the same second may be right"),
        pytest.param(-1.0, 0.2, 0.0, id="so may the one that has just ended"),
        pytest.param(5.0, 0.0, 5.0, id="ahead"),
        pytest.param(-5.0, 0.0, -4.0, id="behind, less the second that it cut off"),
        pytest.param(8.0, 10.0, 0.0, id="a slow answer hides an offset and makes none up"),
        pytest.param(40.0, 10.0, 30.0, id="and does not hide a great one"),
    ],
)
def test_the_smallest_offset_that_explains_the_answer_is_told(node_s: float, took_s: float, offset: float) -> None:
    clock = section(f"{NOW.timestamp() + node_s:.0f}\n")
    assert parse_clock(clock, asked_at=NOW, heard_at=NOW + timedelta(seconds=took_s)) == offset


@pytest.mark.parametrize("text", ["", "now", "1e9", "-1", "9" * 30])
def test_a_date_that_is_no_number_is_unknown(text: str) -> None:
    assert isinstance(parse_clock(section(text), asked_at=NOW, heard_at=NOW), Unknown)
    assert isinstance(parse_clock(None, asked_at=NOW, heard_at=NOW), Unknown)


NAMES = ["uid", "named", "made", "usual", "python", "logind", "logind_conf", "sshd_told", "sshd_conf"]
WORDS = st.sampled_from(
    [*FOLDER.split(), "mount", "b", "true", "linger", "MaxSessions", "9" * 30, "\x1b[2J", "3.6.0", "\n", "=", "link"]
)
TEXTS = st.text() | st.lists(WORDS, max_size=30).map(" ".join) | st.lists(WORDS, max_size=30).map("\n".join)
STATUSES = st.none() | st.sampled_from(["0", "1", "3", "4", "127", "-", ""])
SECTIONS = st.builds(lambda text, status: Section(text=text, status=status), TEXTS, STATUSES)


@UNHURRIED
@given(st.dictionaries(st.sampled_from(NAMES), SECTIONS))
def test_any_sections_make_a_checkup_within_bounds(parts: dict[str, Section]) -> None:
    found = parse_checkup(parts)
    assert isinstance(found, Checkup)
    for folder in (found.folders.named, found.folders.made, found.folders.usual):
        if isinstance(folder, Folder):
            assert folder.path.isprintable()
            assert len(folder.path) <= 4_096
            assert len(folder.homes) <= 10
            assert not set(folder.path) & set(" ;$`'\"\\|&<>(){}*?!")
    assert found.sshd.max_sessions is None or 0 <= found.sshd.max_sessions <= 2**31
    if isinstance(found.python, Python):
        assert found.python.path.isprintable()


@UNHURRIED
@given(SECTIONS, st.floats(0, 1e6))
def test_any_date_makes_an_offset_or_an_unknown(clock: Section, took_s: float) -> None:
    heard_at = NOW + timedelta(seconds=took_s)
    assert isinstance(parse_clock(clock, asked_at=NOW, heard_at=heard_at), float | Unknown)
