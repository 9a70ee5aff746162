"""Leases and drain marks as the probe brings them along: whose they are, who holds them, and what does not count."""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clbalance.model import Allocation, Lease, Proposal, Reading, TmpSpace, Unknown
from clbalance.probe.frame import Answered
from clbalance.probe.lease_files import MOST_LOCKS, parse_marks
from clbalance.probe.leases import parse_allocation, parse_leases
from clbalance.probe.reading import parse_reading

from .answers import NONCE, heard
from .conftest import HOME, HURRIED, LEASE, PATIENT, Node, drain_text
from .test_probe_faults import hurried
from .test_probe_script import REQUEST

HOLDER = """import fcntl, sys
held = open(sys.argv[1], "r+")
fcntl.lockf(held, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def names(reading: Reading) -> list[str]:
    assert not isinstance(reading.leases, Unknown)
    return [lease.key for lease in reading.leases]


def reasons(reading: Reading) -> list[str]:
    assert not isinstance(reading.drains, Unknown)
    return [mark.reason for mark in reading.drains]


@contextmanager
def other_process(file: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Holds the lease as a supervisor does."""
    argv = [sys.executable, "-I", "-S", "-c", HOLDER, str(file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_a_lease_is_void_as_soon_as_its_holder_is_dead(node: Node) -> None:
    file = node.mark(f"{HOME}/lease-a.1", LEASE)
    assert names(node.reading()) == []
    with other_process(file) as holder:
        assert names(node.reading()) == ["a"]
        holder.kill()
        holder.wait()
        assert names(node.reading()) == []


def test_a_reader_and_a_flock_keep_no_lease_alive(dash_node: Node) -> None:
    with dash_node.mark(f"{HOME}/lease-a.1", LEASE).open() as read, read as flocked:
        fcntl.lockf(read, fcntl.LOCK_SH)
        fcntl.flock(flocked, fcntl.LOCK_EX)
        assert names(dash_node.reading()) == []


def test_only_plain_files_in_plain_folders_are_marks(node: Node) -> None:
    with node.lease(f"{HOME}/lease-real.1") as lease, node.lease("elsewhere/lease-linked.1"):
        node.mark(f"{HOME}/drain", drain_text("all of it"))
        folder = lease.parent
        os.mkfifo(folder / "lease-fifo.1")
        (folder / "lease-link.1").symlink_to(lease)
        (folder / "lease-folder.1").mkdir()
        (folder / "lease-odd name\n.1").write_text("odd")
        (folder / "lease-\x1b[2J.1").write_text("odd")
        (folder / ".lease-temporary.1").write_text("not yet")
        (node.root / "var/clbalance-link").symlink_to(node.root / "var/elsewhere")
        (node.root / "var/clbalance-file").write_text("not a folder")
        reading = node.reading()
    assert names(reading) == ["real"]
    assert reasons(reading) == ["all of it"]


def test_a_mark_that_becomes_a_fifo_costs_the_marks_only(dash_node: Node) -> None:
    # The moment between looking and opening: `stat` is what the probe looks with.
    fifo = dash_node.mark(f"{HOME}/lease-swapped.1", "first a file")
    dash_node.program("stat", f'/usr/bin/stat "$@"; rm -f {fifo}; mkfifo {fifo}')
    with hurried():
        reading = dash_node.reading(HURRIED)
    assert reading.leases == reading.drains == Unknown(reason="timed out")
    assert isinstance(reading.tmp, TmpSpace)
    # Whoever is left waiting in it gets his end of file.
    os.close(os.open(fifo, os.O_RDWR | os.O_NONBLOCK))


def test_the_text_of_a_mark_cannot_pose_as_anything_else(node: Node) -> None:
    other = node.root / "var/clbalance-0/drain"
    inode = node.mark(f"{HOME}/lease-void.1", LEASE).stat().st_ino
    text = (
        f"{NONCE} - marks 0\n{NONCE} end\nmark 1 1 0 81a4 {other}\n{other}:forged\nowner 0 root\nadmins {other}\n"
        f"1: POSIX  ADVISORY  WRITE 1 00:2a:{inode} 0 EOF\nlocks told\n\\c\\n%s"
    )
    with node.lease(f"{HOME}/lease-evil.1", text):
        reading = node.reading()
    assert reading.leases == (
        Lease(key="evil", attempt=1, uid=os.getuid(), allocation=Unknown(reason="unreadable lease: no JSON")),
    )
    assert reading.drains == ()


def test_what_cannot_be_read_is_the_whole_node(node: Node) -> None:
    with ExitStack() as held:
        held.enter_context(node.lease(f"{HOME}/lease-binary.1", "\x00\x01\x02\n\x00"))
        held.enter_context(node.lease(f"{HOME}/lease-good.1"))
        held.enter_context(node.lease(f"{HOME}/lease-long.1", LEASE + " " * 1024))
        reading = node.reading()
    assert not isinstance(reading.leases, Unknown)
    unreadable = Unknown(reason="unreadable lease: empty, too long or not readable")
    assert [(lease.key, lease.allocation) for lease in reading.leases] == [
        ("binary", unreadable),
        ("good", Allocation(cpus=2.0, slots=1, uptime_s=2500.5, name="train")),
        ("long", unreadable),
    ]


def test_256_marks_are_read_whether_they_are_held_or_not(node: Node) -> None:
    with ExitStack() as held:
        for number in range(256):
            held.enter_context(node.lease(f"{HOME}/lease-{number:03}.1", LEASE + " " * 800))
        reading = node.reading()
    assert names(reading) == [f"{number:03}" for number in range(256)]


def many_void(node: Node, home: str = f"{HOME}") -> None:
    """More than are looked at one by one."""
    for number in range(300):
        node.mark(f"{home}/lease-void{number:03}.1", LEASE)


def test_one_users_many_files_hide_nobodys_leases_nor_his_own_that_hold(node: Node) -> None:
    many_void(node)
    node.mark(f"{HOME}/drain", drain_text("his"))
    with node.lease(f"{HOME}/lease-z.1"), node.lease(f"{HOME}-1/lease-other.1"):
        reading = node.reading()
    assert not isinstance(reading.leases, Unknown)
    assert {(lease.key, lease.allocation) for lease in reading.leases} == {
        ("z", Allocation(cpus=2.0, slots=1, uptime_s=2500.5, name="train")),
        ("other", Allocation(cpus=2.0, slots=1, uptime_s=2500.5, name="train")),
    }
    assert reasons(reading) == ["his"]
    assert names(node.reading()) == []


@pytest.mark.root
def test_one_users_many_homes_hide_no_lease(node: Node) -> None:
    for number in range(1_100):
        (node.root / f"var/clbalance-{number}").mkdir()
    # The last that the shell would look at.
    with node.lease("clbalance-999999/lease-last.1") as lease:
        for path in (lease, lease.parent):
            os.chown(path, 999_999, -1)
        assert names(node.reading()) == ["last"]


def test_every_held_lease_of_one_owner_is_told(node: Node) -> None:
    with ExitStack() as held:
        for number in range(380):
            held.enter_context(node.lease(f"{HOME}{'-1' * (number % 2)}/lease-{number:03}.1"))
        reading = node.reading()
    assert sorted(names(reading)) == [f"{number:03}" for number in range(380)]


def test_a_lock_that_one_reading_of_the_list_leaves_out_is_told_by_the_others(dash_node: Node) -> None:
    """The kernel tells its list in pieces, and what moves up by one in between is left out."""
    with dash_node.lease(f"{HOME}/lease-a.1") as file:
        section = dash_node.sections()["marks"]
        inode = file.stat().st_ino
    text, times = re.subn(f"^.*:{inode} 0 .*\n", "", section.text, count=4, flags=re.MULTILINE)
    assert times == 4
    leases = parse_leases(parse_marks(replace(section, text=text), os.getuid()))
    assert not isinstance(leases, Unknown)
    assert [lease.key for lease in leases] == ["a"]


@pytest.mark.parametrize("node", ["dash", "busybox"], indirect=True)
@pytest.mark.parametrize(
    ("limit", "reason"),
    [
        ("1024", f"uid {os.getuid()} holds more than 1024 leases"),
        ("131072", f"uid {os.getuid()} has more than 131072 files in the node folder"),
        ("2048", "more than 2048 held leases and drain marks"),
    ],
)
def test_leases_beyond_what_is_counted_are_unknown_and_their_owner_is_named(
    node: Node, limit: str, reason: str
) -> None:
    many_void(node)
    with ExitStack() as held:
        for number in range(301):
            held.enter_context(node.lease(f"{HOME}/lease-{number:03}.1"))
        reading = node.reading(PATIENT.replace(limit, "300"))
    assert reading.leases == reading.drains == Unknown(reason=reason)


@pytest.mark.root
@pytest.mark.parametrize("node", ["dash", "busybox"], indirect=True)
@pytest.mark.parametrize(
    ("owner", "limit", "reason"),
    [
        (1001, "131072", "131072 folders with the names of other users' folders, most of them of uid 1001"),
        (None, "4096", "the folders of more than 4096 users"),
    ],
)
def test_more_folders_than_can_be_looked_at_make_leases_unknown(
    node: Node, owner: int | None, limit: str, reason: str
) -> None:
    for uid in range(2_000, 3_100):
        home = node.root / f"var/clbalance-{uid}"
        home.mkdir()
        os.chown(home, owner or uid, -1)
    reading = node.reading(PATIENT.replace(limit, "1000"))
    assert reading.leases == reading.drains
    assert isinstance(reading.leases, Unknown)
    assert reading.leases.reason.endswith(reason)


def test_among_many_files_only_plain_ones_in_plain_folders_are_marks(node: Node) -> None:
    with node.lease(f"{HOME}/lease-real.1") as lease, node.lease("elsewhere/lease-linked.1") as linked:
        many_void(node)
        folder = lease.parent
        inodes = (lease.stat().st_ino, linked.stat().st_ino)
        # Whoever reads a list of names by lines, takes these for more of them.
        fakes = "".join(f"\n{inode} lease-fake.1\n{inode} drain" for inode in inodes)
        (folder / f"x{fakes}\nall\n{os.getuid()} ").write_text("")
        os.mkfifo(folder / "drain")
        os.mkfifo(folder / "lease-fifo.1")
        (folder / "lease-link.1").symlink_to(linked)
        (folder / "lease-folder.1").mkdir()
        (node.root / "var/clbalance-link").symlink_to(node.root / "var/elsewhere")
        reading = node.reading()
    assert names(reading) == ["real"]
    assert reading.drains == ()


def test_a_search_among_many_files_that_was_ended_is_unknown(dash_node: Node) -> None:
    many_void(dash_node)
    dash_node.program("find", "kill -9 $$")
    reading = dash_node.reading()
    assert reading.leases == reading.drains == Unknown(reason="reading the node folder failed with 1")


@pytest.mark.parametrize(
    "stat",
    [
        pytest.param("echo usage >&2; exit 1", id="without the option -c"),
        pytest.param("kill -9 $$", id="ended"),
        pytest.param('/usr/bin/stat "$@" | head -n 1; kill -9 $$', id="ended after the first file"),
    ],
)
@pytest.mark.parametrize("among_many", [False, True])
def test_a_stat_that_fails_makes_leases_unknown(node: Node, among_many: bool, stat: str) -> None:
    if among_many:
        many_void(node)
    with node.lease(f"{HOME}/lease-a.1"):
        node.program("stat", stat)
        reading = node.reading()
    assert reading.leases == reading.drains
    assert isinstance(reading.leases, Unknown)


@pytest.mark.parametrize("stat", ["echo usage >&2; exit 1", "true"])
def test_a_find_without_its_options_makes_leases_unknown(dash_node: Node, stat: str) -> None:
    """As busybox's, built without `-printf`, with a `stat` without `-c`."""
    many_void(dash_node)
    dash_node.program("find", 'case $* in *-printf*) exit 1 ;; esac; exec /usr/bin/find "$@"')
    dash_node.program("stat", stat)
    with dash_node.lease(f"{HOME}/lease-a.1"):
        reading = dash_node.reading()
    assert reading.leases == reading.drains == Unknown(reason="reading the node folder failed with 1")


def test_a_lease_locked_in_many_pieces_hides_no_other(dash_node: Node) -> None:
    with dash_node.lease(f"{HOME}/lease-good.1"), dash_node.mark(f"{HOME}-1/lease-odd.1").open("r+") as odd:
        for start in range(0, 2 * MOST_LOCKS, 2):
            fcntl.lockf(odd, fcntl.LOCK_EX, 1, start)
        assert names(dash_node.reading()) == ["good", "odd"]


def test_a_list_of_locks_that_was_cut_off_makes_leases_unknown(dash_node: Node) -> None:
    with dash_node.lease(f"{HOME}/lease-a.1"):
        section = dash_node.sections()["marks"]
    lock = next(line for line in section.text.split("\n") if ": POSIX" in line)
    cut = replace(section, text=section.text + f"\n{lock}" * (5 * MOST_LOCKS))
    assert parse_leases(parse_marks(cut, os.getuid())) == Unknown(reason=f"{MOST_LOCKS} locks or more")


@pytest.mark.root
def test_administrators_drain_among_many_files_too(node: Node) -> None:
    many_void(node)
    for uid in (1, 2):
        mark = node.mark(f"clbalance-{uid}/drain", drain_text(f"by {uid}"))
        os.chown(mark, uid, -1)
        os.chown(mark.parent, uid, -1)
    (node.root / "admins").write_text("daemon\n")  # uid 1 of every Debian
    drains = node.reading().drains
    assert not isinstance(drains, Unknown)
    assert {(mark.uid, mark.binds_all) for mark in drains} == {(1, True), (2, False)}


@pytest.mark.root
def test_homes_count_only_for_the_user_in_their_name(dash_node: Node) -> None:
    many_void(dash_node)
    with ExitStack() as held:
        for number in range(20):
            held.enter_context(dash_node.lease(f"clbalance-{number}/lease-{number}.1"))
            held.enter_context(dash_node.lease(f"{HOME}-{number}/lease-second{number}.1"))
        other = held.enter_context(dash_node.lease("clbalance-77/lease-other.1"))
        for path in (other, other.parent):
            os.chown(path, 77, -1)
        found = names(dash_node.reading())
    assert set(found) == {"0", "other", *(f"second{number}" for number in range(1, 10))}


def test_a_drain_mark_of_ours_binds_us_and_an_administrators_everybody(node: Node) -> None:
    node.mark(f"{HOME}/drain", drain_text("disk"))
    admins = node.root / "listed"
    (node.root / "admins").symlink_to(admins)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout
    binds = []
    for content, mode in (("nobody\n", 0o644), (user, 0o644), (user, 0o666)):
        admins.write_text(content)
        admins.chmod(mode)
        drains = node.reading().drains
        assert not isinstance(drains, Unknown)
        binds.append([mark.binds_all for mark in drains])
    is_root = os.getuid() == 0
    assert binds == [[is_root], [True], [is_root]]


@pytest.mark.root
@pytest.mark.parametrize(("others", "binds"), [(1_000, True), (10_000, False)])
def test_a_list_of_administrators_may_be_as_long_as_the_agent_reads_it(node: Node, others: int, binds: bool) -> None:
    mark = node.mark("clbalance-1/drain", drain_text("disk"))
    os.chown(mark, 1, -1)
    os.chown(mark.parent, 1, -1)
    (node.root / "admins").write_text("".join(f"admin{n}\n" for n in range(others)) + "daemon\n")
    drains = node.reading().drains
    assert not isinstance(drains, Unknown)
    assert [mark.binds_all for mark in drains] == [binds]


@pytest.mark.root
def test_a_strangers_file_in_our_folder_and_ours_in_a_strangers_count_for_nothing(dash_node: Node) -> None:
    with dash_node.lease("clbalance-0/lease-hers.1") as hers, dash_node.lease("clbalance-1001/lease-his.1") as his:
        os.chown(hers, 1001, -1)
        os.chown(his.parent, 1001, -1)
        assert names(dash_node.reading()) == []
        os.chown(his, 1001, -1)
        assert names(dash_node.reading()) == ["his"]


@pytest.mark.root
def test_root_and_listed_users_drain_for_everybody_others_for_themselves(dash_node: Node) -> None:
    for uid in (0, 1, 2):
        mark = dash_node.mark(f"clbalance-{uid}/drain", drain_text(f"by {uid}"))
        os.chown(mark, uid, -1)
        os.chown(mark.parent, uid, -1)
    (dash_node.root / "admins").write_text("daemon\n")  # uid 1 of every Debian
    drains = dash_node.reading().drains
    assert not isinstance(drains, Unknown)
    assert [(mark.uid, mark.binds_all) for mark in drains] == [(0, True), (1, True), (2, False)]


KEY = "ab" * 16


@pytest.mark.parametrize("among_many", [False, True])
@pytest.mark.parametrize("offset_s", [-86_400, -600, 0, 600, 86_400])
def test_whether_a_mark_is_over_is_told_by_the_nodes_own_clock(node: Node, offset_s: int, among_many: bool) -> None:
    if among_many:
        many_void(node)
    there = int(time.time()) + offset_s
    node.program("date", f"echo clock {there}")
    node.mark(f"{HOME}/drain", drain_text("ends now", until=there))
    node.mark(f"{HOME}/drain-{KEY}", drain_text("proposed, and over", asked_at=5.0, until=there - 0.5))
    node.mark(f"{HOME}-1/drain", drain_text("in force", until=there + 1))
    assert reasons(node.reading()) == ["in force"]


def test_a_node_that_does_not_tell_the_time_keeps_its_marks(dash_node: Node) -> None:
    dash_node.program("date", "exit 1")
    dash_node.mark(f"{HOME}/drain", drain_text("long ago", until=1.0))
    assert reasons(dash_node.reading()) == ["long ago"]


def test_a_node_without_drain_marks_is_not_asked_for_its_time(dash_node: Node) -> None:
    dash_node.program("date", 'echo asked >"$TMPDIR/asked"')
    with dash_node.lease(f"{HOME}/lease-a.1"):
        assert names(dash_node.reading()) == ["a"]
    assert not (dash_node.root / "tmp/asked").exists()


@pytest.mark.parametrize("among_many", [False, True])
def test_proposals_come_along_with_their_key_and_their_time(node: Node, among_many: bool) -> None:
    if among_many:
        many_void(node)
    node.mark(f"{HOME}/drain", drain_text("mine"))
    node.mark(f"{HOME}/drain-{KEY}", drain_text("proposed", asked_at=5.0))
    node.mark(f"{HOME}/drain-{'c' * 32}", drain_text("made firm"))
    node.mark(f"{HOME}/drain-{KEY}.77.tmp", drain_text("half"))
    node.mark(f"{HOME}/drain-XYZ", drain_text("no key"))
    drains = node.reading().drains
    assert not isinstance(drains, Unknown)
    proposal = Proposal(at=datetime.fromtimestamp(5.0, UTC), key=KEY)
    assert {(mark.reason, mark.proposal) for mark in drains} == {
        ("mine", None),
        ("proposed", proposal),
        ("made firm", None),
    }


@pytest.mark.parametrize("among_many", [False, True])
def test_a_proposal_that_becomes_a_mark_while_it_is_read_is_never_missed(dash_node: Node, among_many: bool) -> None:
    if among_many:
        many_void(dash_node)
    proposal = dash_node.mark(f"{HOME}/drain-{KEY}", drain_text("x", asked_at=5.0))
    tools = dash_node.root / "late"
    tools.mkdir()
    # Between the listing and the first look at a file, as slow as a node can be.
    real = shutil.which("stat")
    mark = proposal.with_name("drain")
    text = f'#!/bin/sh\n[ ! -e {proposal} ] || {{ cp {proposal} {mark}; rm {proposal}; }}\nexec {real} "$@"\n'
    (tools / "stat").write_text(text)
    (tools / "stat").chmod(0o755)
    dash_node.env["PATH"] = f"{tools}:{dash_node.env.get('PATH', os.environ['PATH'])}"
    assert reasons(dash_node.reading()) == ["x"]
    assert not proposal.exists()


def test_many_proposals_of_one_user_hide_no_lease(dash_node: Node) -> None:
    for number in range(400):
        dash_node.mark(f"{HOME}/drain-{number:032x}", drain_text("x", asked_at=5.0))
    with dash_node.lease(f"{HOME}/lease-a.1"):
        reading = dash_node.reading()
    assert names(reading) == ["a"]
    assert len(reasons(reading)) <= 17


@pytest.mark.root
def test_in_a_pid_namespace_the_locks_of_its_own_processes_are_seen(dash_node: Node) -> None:
    """As on a lab node; what is held from outside looks void there, and admission asks the kernel itself."""
    inside = dash_node.mark(f"{HOME}/lease-inside.1", LEASE)
    script = dash_node.root / "request"
    script.write_bytes(REQUEST)
    hold = dash_node.root / "hold"
    os.mkfifo(hold)
    text = (
        f"{sys.executable} -I -S -c '{HOLDER}' {inside} <{hold} >/dev/null & exec 3>{hold}; "
        f"until grep -q :{inside.stat().st_ino} /proc/locks; do sleep 0.02; done; "
        f"{' '.join(dash_node.shell)} -s <{script}; exec 3>&-; wait"
    )
    argv = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child", "/bin/sh", "-c", text]
    with dash_node.lease(f"{HOME}/lease-outside.1"):
        lines = dash_node.says(b"", argv=argv)
    answer = heard(lines)
    assert isinstance(answer, Answered)
    assert names(parse_reading(answer.sections)) == ["inside"]


MOUNTED = """
mount -t tmpfs none /var/lib && mkdir /var/lib/clbalance && mount --bind "$1" /var/lib/clbalance &&
mount --bind "$2" /var/tmp && shift 2 && exec "$@"
"""


@pytest.mark.root
@pytest.mark.parametrize(
    ("mode", "told"),
    [
        pytest.param(0o1777, {"made", "roots", "usual"}, id="a folder for everyone: the one before it counts too"),
        pytest.param(0o755, {"made", "roots"}, id="a folder that root has prepared: of /var/tmp only root's counts"),
    ],
)
@pytest.mark.parametrize("among_many", [False, True])
def test_where_leases_are_looked_for(dash_node: Node, mode: int, told: set[str], among_many: bool) -> None:
    if among_many:
        many_void(dash_node, f"made/{HOME}")
    made, usual = (dash_node.root / "var" / name for name in ("made", "usual"))
    del dash_node.env["CLBALANCE_NODE_DIR"]
    with (
        dash_node.lease(f"made/{HOME}/lease-made.1"),
        dash_node.lease(f"usual/{HOME}-3/lease-roots.1"),
        dash_node.lease("usual/clbalance-1001/lease-usual.1") as other,
    ):
        for path in (other, other.parent):
            os.chown(path, 1001, -1)
        made.chmod(mode)
        argv = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(made), str(usual), *dash_node.shell, "-s"]
        answer = heard(dash_node.says(REQUEST, argv=argv))
    assert isinstance(answer, Answered)
    assert set(names(parse_reading(answer.sections))) == told


@pytest.mark.parametrize(
    ("text", "share"),
    [
        pytest.param(LEASE, 1.0, id="a lease of before there were shares has whole devices"),
        pytest.param(LEASE.replace("{", '{"gpu_share":0.25,'), 0.25, id="a share is what it says"),
        pytest.param(LEASE.replace("{", '{"gpu_share":0,'), None, id="nothing is no share"),
        pytest.param(LEASE.replace("{", '{"gpu_share":1.5,'), None, id="nor is more than there is"),
    ],
)
def test_how_much_of_a_gpu_a_lease_holds(text: str, share: float | None) -> None:
    allocation = parse_allocation(text)
    assert (allocation.gpu_share if isinstance(allocation, Allocation) else None) == share
