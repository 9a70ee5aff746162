"""`node/checkup.sh` in real shells: right answers, nothing written, and what hangs costs its own section."""

import os
import re
import time
from pathlib import Path

import pytest

from clbalance.model import TmpSpace, Unknown
from clbalance.model.checkup import Checkup, Entry, Folder, Logind, Mount, Python, SshdLimits
from clbalance.node import checkup_script
from clbalance.probe.checkup import CLOCK_QUESTION, parse_checkup
from clbalance.probe.frame import Answered, probe_request
from tests.waiting import SOON_S

from .answers import NONCE, heard
from .conftest import HURRIED_S, Node

REQUEST = probe_request(checkup_script().replace("limit=2\n", "limit=60\n"), NONCE)
HURRIED = probe_request(checkup_script().replace("limit=2\n", f"limit={HURRIED_S}\n"), NONCE)
"""As of the probe, in conftest.py."""
CONF = "etc/systemd/logind.conf"


def checkup(node: Node, request: bytes = REQUEST) -> Checkup:
    answer = heard(node.says(request))
    assert isinstance(answer, Answered)
    return parse_checkup(answer.sections)


def named(node: Node) -> Folder:
    found = checkup(node).folders.named
    assert isinstance(found, Folder)
    return found


@pytest.fixture(autouse=True)
def _system(node: Node) -> None:
    """A machine whose systemd, sshd and mounts are the test's own."""
    node.env["CLBALANCE_ROOTFS"] = str(node.root / "rootfs")
    node.env["LOGNAME"] = "alice"
    for name in ("run/systemd/system", "etc/systemd/logind.conf.d", "etc/ssh", "var/lib/systemd/linger"):
        (node.root / "rootfs" / name).mkdir(parents=True)
    (node.root / "proc/self").mkdir()
    write(
        node,
        "../proc/self/mountinfo",
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n28 27 0:9 / /elsewhere rw - nfs s:/x rw\n",
    )
    node.program("python3", "echo 3.9.2")
    node.program("busctl", "echo b false")
    node.program("sshd", "echo maxsessions 7; echo maxstartups 10:30:100")


def write(node: Node, name: str, text: str) -> None:
    (node.root / "rootfs" / name).write_text(text)


def test_every_shell_tells_how_the_node_is_set_up(node: Node) -> None:
    found = checkup(node)
    var = node.root / "var"
    assert found.uid == os.getuid()
    assert found.python == Python(path=str(node.root / "bin/python3"), version=(3, 9, 2))
    assert found.logind == Logind(kills_user_processes=False, lingers=False)
    assert found.sshd == SshdLimits(max_sessions=7, max_startups=10)
    assert (found.folders.made, found.folders.usual) == (None, None)
    folder = named(node)
    assert (folder.path, folder.real, folder.is_link, folder.writable, folder.homes) == (
        str(var),
        str(var),
        False,
        True,
        (),
    )
    assert folder.entry == Entry(path=str(var), uid=os.getuid(), mode=var.stat().st_mode)
    assert folder.mount == Mount(root="/", point="/", type="ext4")
    assert isinstance(folder.space, TmpSpace)
    assert folder.free_inodes is None or folder.free_inodes > 0


def test_outside_the_lab_both_folders_are_looked_at(node: Node) -> None:
    del node.env["CLBALANCE_NODE_DIR"]
    folders = checkup(node).folders
    assert folders.named is None
    assert isinstance(folders.usual, Folder)
    assert (folders.usual.path, folders.usual.entry.uid) == ("/var/tmp", 0)
    assert (folders.made is None) == (not Path("/var/lib/clbalance").is_dir())


def test_only_names_that_are_meant_for_us_are_told(node: Node) -> None:
    uid = os.getuid()
    own = node.root / f"var/clbalance-{uid}"
    own.symlink_to("/")
    Path(f"{own}-3").mkdir(mode=0o700)
    (node.root / f"var/clbalance-{uid}-x\nhome 41ed 0 evil").mkdir()
    (node.root / "var/clbalance-4711").mkdir()
    homes = named(node).homes
    assert [(Path(home.path).name, home.mode >> 12) for home in homes] == [
        (f"clbalance-{uid}", 0o12),
        (f"clbalance-{uid}-3", 0o04),
    ]


def test_a_link_is_followed_and_told(node: Node) -> None:
    (node.root / "link").symlink_to(node.root / "var")
    node.env["CLBALANCE_NODE_DIR"] = str(node.root / "link")
    folder = named(node)
    assert (folder.is_link, folder.real) == (True, str(node.root / "var"))


@pytest.mark.parametrize(("named_as", "expected"), [("/nowhere", None), ("var", Unknown)])
def test_a_folder_that_is_none_is_told_so(node: Node, named_as: str, expected: type | None) -> None:
    node.env["CLBALANCE_NODE_DIR"] = named_as
    found = checkup(node).folders.named
    assert found is None if expected is None else isinstance(found, expected)


def test_a_mount_on_the_folder_is_told_with_its_root(node: Node) -> None:
    private = f"99 27 254:0 /tmp.inst/alice {node.root}/var rw shared:7 - xfs /dev/vda rw\n"
    write(node, "../proc/self/mountinfo", "27 1 254:0 / / rw - ext4 /dev/vda rw\n" + private)
    assert named(node).mount == Mount(root="/tmp.inst/alice", point=f"{node.root}/var", type="xfs")


def test_without_python_there_is_none(node: Node) -> None:
    # Hidden from the session, as in the lab; the probe's own longer PATH does not count.
    (node.root / "bin/python3").unlink()
    node.env["PATH"] = str(node.root / "bin")
    assert checkup(node).python is None


def test_a_python_that_fails_is_told_in_its_own_words(node: Node) -> None:
    node.program("python3", "echo broken; exit 1")
    assert checkup(node).python == Python(path=str(node.root / "bin/python3"), version=Unknown(reason="broken"))


def test_where_logind_does_not_answer_its_files_do_and_the_last_counts(node: Node) -> None:
    node.program("busctl", "exit 1")
    write(node, CONF, "[Login]\n#KillUserProcesses=no\nKillUserProcesses=no\n")
    write(node, "etc/systemd/logind.conf.d/50-site.conf", "KillUserProcesses=yes\n")
    write(node, "var/lib/systemd/linger/alice", "")
    assert checkup(node).logind == Logind(kills_user_processes=True, lingers=True)


def test_without_systemd_there_is_no_logind(node: Node) -> None:
    (node.root / "rootfs/run/systemd/system").rmdir()
    assert checkup(node).logind is None


def test_where_sshd_tells_nothing_its_readable_files_do(node: Node) -> None:
    node.program("sshd", "exit 1")
    write(node, "etc/ssh/sshd_config", "Port 22\n  maxsessions 3\nMaxSessions 9\n#MaxStartups 1\n")
    assert checkup(node).sshd == SshdLimits(max_sessions=3)


def test_all_that_hangs_costs_one_deadline_and_its_own_sections(node: Node) -> None:
    for name in ("df", "python3", "busctl", "sshd"):
        node.program(name, "exec sleep 600")
    began = time.monotonic()
    found = checkup(node, HURRIED)
    assert HURRIED_S - 0.2 <= time.monotonic() - began < SOON_S
    assert found.uid == os.getuid()
    assert found.python == Unknown(reason="timed out")
    assert isinstance(found.folders.named, Folder)
    assert found.folders.named.space == Unknown(reason="timed out")
    assert isinstance(found.logind, Logind)


def test_it_writes_nothing_and_leaves_the_session_as_it_was(node: Node) -> None:
    functions = " ".join(re.findall(r"^ +(\w+)\(\) {$", checkup_script(), re.MULTILINE))
    assert {"guarded", "look_at"} <= set(functions.split())
    facts = f"pwd; trap; umask; for name in {functions}; do command -v $name; done; echo $root $uid; find . | sort; echo shown\n"
    node.env["PATH"] += ":/usr/bin:/bin"
    lines = node.says(facts.encode() + REQUEST + facts.encode())
    before, after = lines[: lines.index(b"shown")], lines[lines.index(f"{NONCE} end".encode()) + 1 : -1]
    # The real python3 and logind are the node's business, the functions' names ours.
    assert before == after


def test_the_clock_is_told_in_a_frame_of_its_own(node: Node) -> None:
    before = int(time.time())
    answer = heard(node.says(REQUEST + probe_request(CLOCK_QUESTION, "f" * 32)), "f" * 32)
    assert isinstance(answer, Answered)
    assert before <= int(answer.sections["clock"].text) <= time.time()


def test_what_a_start_up_file_has_read_of_the_check_up_is_told(node: Node) -> None:
    assert checkup(node).input_is_whole
    lines = REQUEST.splitlines(keepends=True)
    for taken in (1, 2, 3, 4):
        answer = heard(node.says(b"".join(lines[taken:])))
        assert isinstance(answer, Answered)
        found = parse_checkup(answer.sections)
        assert (found.input_is_whole, found.uid) == (False, os.getuid())


def test_a_home_that_does_not_exist_is_told(node: Node) -> None:
    node.env["HOME"] = str(node.root)
    assert checkup(node).missing_home == ""
    node.env["HOME"] = "/gone/away"
    assert checkup(node).missing_home == "/gone/away"


def test_a_home_that_hangs_costs_no_other_answer(node: Node) -> None:
    look = b'[ -d "$HOME" ]'
    assert HURRIED.count(look) == 1
    answer = heard(node.says(HURRIED.replace(look, b"run sleep 600")))
    assert isinstance(answer, Answered)
    found = parse_checkup(answer.sections)
    assert found.missing_home == Unknown(reason="timed out")
    assert found.logind == Logind(kills_user_processes=False, lingers=False)
