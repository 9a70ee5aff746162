"""What is wrong with a node, what is only worth a note, and what is well."""

from dataclasses import replace

import pytest

from clbalance.model import Cause, Gpu, Memory, NodeName, Silent, Unknown
from clbalance.model.checkup import (
    Entry,
    Examined,
    Finding,
    Logind,
    NodeFolders,
    Python,
    Severity,
    SshdLimits,
    note,
    wrong,
)
from clbalance.policy.doctor import group_findings, node_findings, open_files_findings, ssh_findings, worst_first
from clbalance.policy.hints import HINTS
from clbalance.policy.job_folder import NETWORK_FILE_SYSTEMS
from clbalance.store.location import NETWORK_FILE_SYSTEMS as OF_THE_STORE

from .build import gpu
from .health import FILE, FOLDER, LINK, LOST, ME, entry, examined, folder, free, homes, mounted, reads, usual

HOME = f"/var/tmp/clbalance-{ME}"
MADE = "/var/lib/clbalance"
SIZES = Memory(total_bytes=2, available_bytes=1, swap_total_bytes=2, swap_free_bytes=1)
ALL_TAKEN = [entry(HOME, uid=7), *(entry(f"{HOME}-{n}", uid=7) for n in range(1, 10))]


def prepared(*entries: Entry) -> NodeFolders:
    return NodeFolders(made=folder(MADE, mode=0o755, writable=False, homes=entries), usual=folder())


def told(found: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(one.severity.value, one.check) for one in found]


def case(allocation: str, findings: str, part: str, **changes: object) -> object:
    """`findings` as `wrong:check`, in order; `part` stands in what the first says."""
    return pytest.param(examined(**changes), findings.split(), part, id=allocation)


@pytest.mark.parametrize(
    ("node", "findings", "part"),
    [
        case("a healthy node has no findings", "", ""),
        case("a made folder for everyone is taken without a word", "", "", folders=NodeFolders(made=folder(MADE))),
        case("no folder at all is wrong", "wrong:node_dir", "no /var/tmp", folders=NodeFolders()),
        case("a folder that hangs is wrong", "wrong:node_dir", "timed out", folders=NodeFolders(usual=LOST)),
        case("a made folder that hangs is wrong, for the agent hangs too", "wrong:node_dir", "timed out",
             folders=NodeFolders(made=LOST, usual=folder())),
        case("a made folder that is not root's is passed over", "note:node_dir", "mode 1777 of uid 7",
             folders=NodeFolders(made=folder(MADE, uid=7), usual=folder())),
        case("a made folder that is neither for everyone nor prepared is passed over", "note:node_dir",
             "mode 0775 of uid 0", folders=NodeFolders(made=folder(MADE, mode=0o775), usual=folder())),
        case("a prepared folder with one for us is taken without a word", "", "",
             folders=prepared(entry(f"{MADE}/clbalance-{ME}", FOLDER | 0o755, ME))),
        case("a prepared folder without one for us is wrong", "wrong:node_dir", "no folder for uid 1000",
             folders=prepared()),
        case("a prepared folder is root's own to fill", "", "", folders=prepared(), uid=0),
        case("a made folder that is a link is passed over", "note:node_dir", "a link",
             folders=NodeFolders(made=folder(MADE, is_link=True), usual=folder())),
        case("a /var/tmp that is a link will do", "", "", folders=usual(is_link=True, real="/scratch")),
        case("what is wrong with a folder that is passed over does not matter", "note:node_dir", "a link",
             folders=NodeFolders(made=folder(MADE, is_link=True, writable=False), usual=folder())),
        case("a folder that may not be written to is wrong", "wrong:node_dir", "may not write",
             folders=usual(writable=False)),
        case("a folder of somebody else's is wrong", "wrong:node_dir", "belongs to uid 7", folders=usual(uid=7)),
        case("a folder of one's own is somebody's too", "wrong:node_dir", "belongs to uid 1000", folders=usual(uid=ME)),
        case("in the lab it is not", "", "", folders=NodeFolders(named=folder("/lab", uid=ME, mode=0o700))),
        case("anyone may remove what lies where there is no sticky bit", "wrong:node_dir", "no sticky bit",
             folders=usual(mode=0o777)),
        case("a folder for root alone keeps the others out", "note:node_dir", "not for everyone",
             folders=usual(mode=0o755)),
        case("nfs is no place for locks", "wrong:node_dir", "is on nfs4", folders=mounted("nfs4")),
        case("sshfs is none either", "wrong:node_dir", "is on fuse.sshfs", folders=mounted("fuse.sshfs")),
        case("another fuse is", "", "", folders=mounted("fuseblk")),
        case("PrivateTmp hides leases", "wrong:node_dir", "private to each login",
             folders=mounted(root="/var/tmp/systemd-private-0a1b-sshd.service-x/tmp")),
        case("pam_namespace hides leases", "wrong:node_dir", "private to each login",
             folders=mounted(root="/var/tmp/tmp-inst/alice")),
        case("pam_namespace hides them under its other name, too", "wrong:node_dir", "private to each login",
             folders=mounted(root="/tmp.inst/alice")),
        case("a /var/tmp of its own file system is well", "", "", folders=mounted(root="/")),
        case("a folder that is bound there is well", "", "", folders=mounted(root="/scratch/instances")),
        case("memory is a poor place", "note:node_dir", "tmpfs", folders=mounted("tmpfs")),
        case("an unknown file system is not well", "note:node_dir", "unknown: timed out", folders=usual(mount=LOST)),
        case("a full disk is wrong", "wrong:node_dir", "15 MiB", folders=free(15)),
        case("a disk that is nearly full is noted", "note:node_dir", "255 MiB", folders=free(255)),
        case("a disk with some room is well", "", "", folders=free(256)),
        case("a disk without inodes is full", "wrong:node_dir", "only 0 inodes free", folders=usual(free_inodes=0)),
        case("a disk with a few more files is well", "", "", folders=usual(free_inodes=64)),
        case("unknown space is not plenty", "note:node_dir", "unknown: timed out", folders=usual(space=LOST)),
        case("a folder of our own is well", "", "", folders=homes(entry(HOME, FOLDER | 0o755, ME))),
        case("a stricter one, too", "", "", folders=homes(entry(HOME, FOLDER | 0o700, ME))),
        case("a squatted name is noted", "note:node_dir", "belongs to uid 7", folders=homes(entry(HOME, uid=7))),
        case("a link in its place is noted", "note:node_dir", "a link", folders=homes(entry(HOME, LINK | 0o777, ME))),
        case("a file in its place is noted", "note:node_dir", "no folder", folders=homes(entry(HOME, FILE | 0o644, ME))),
        case("one that others write to is noted", "note:node_dir", "mode 0775",
             folders=homes(entry(HOME, FOLDER | 0o775, ME))),
        case("each squatted name before a free one is noted", "note:node_dir note:node_dir", "uid 7",
             folders=homes(*ALL_TAKEN[:2])),
        case("a squatted name behind ours does not matter", "", "",
             folders=homes(entry(HOME, FOLDER | 0o755, ME), ALL_TAKEN[1])),
        case("no name left is wrong", "note:node_dir " * 10 + "wrong:node_dir", "uid 7", folders=homes(*ALL_TAKEN)),
        case("who we are not told to be has no name to look at", "", "", uid=LOST, folders=homes(*ALL_TAKEN)),
        case("no python is wrong", "wrong:python", "no python3", python=None),
        case("python 3.5 is too old", "wrong:python", "Python 3.5", python=Python(path="/p", version=(3, 5, 9))),
        case("python 3.6 will do", "", "", python=Python(path="/p", version=(3, 6, 0))),
        case("a python that does not start is wrong", "wrong:python", "does not work: no module",
             python=Python(path="/p", version=Unknown(reason="no module"))),
        case("a python that hung is wrong: jobs hang as well", "wrong:python", "timed out", python=LOST),
        case("a start-up file that reads our input is wrong", "wrong:login", "reads standard input",
             input_is_whole=False),
        case("a missing home is noted: a job may name its folder", "note:login", "/home/u, does not exist",
             missing_home="/home/u"),
        case("a home that hangs is not well", "note:login", "unknown: timed out", missing_home=LOST),
        case("a node whose load was not told takes no job", "wrong:load", "timed out", reading=LOST),
        case("without a boot id no job can start", "wrong:boot_id", "no boot_id",
             reading=reads(boot_id=Unknown(reason="no boot_id"))),
        case("a run queue that is unknown is wrong", "wrong:load", "run queue", reading=reads(run_queue=LOST)),
        case("cpus that are unknown are wrong", "wrong:load", "cpus", reading=reads(cpus=LOST)),
        case("an uptime that is unknown is wrong", "wrong:load", "uptime", reading=reads(uptime_s=LOST)),
        case("memory that is unknown is wrong", "wrong:load", "memory", reading=reads(memory=LOST)),
        case("swap that is unknown is noted", "note:load", "its swap is unknown",
             reading=reads(memory=replace(SIZES, swap_total_bytes=LOST, swap_free_bytes=LOST))),
        case("temporary space that is unknown is noted", "note:tmp", "no job with `--tmp`", reading=reads(tmp=LOST)),
        case("leases that are unknown are wrong", "wrong:leases", "no job is admitted", reading=reads(leases=LOST)),
        case("pressure and traffic that are unknown keep no job away", "", "",
             reading=reads(pressure=LOST, disk=LOST, net=LOST, logins=LOST, cpu_ticks=LOST)),
        case("GPUs that are unknown are wrong", "wrong:gpus", "timed out", reading=reads(gpus=LOST)),
        case("healthy GPUs in use are well", "", "", reading=reads(gpus=(gpu(0), gpu(1, use=90.0)))),
        case("a faulty GPU is wrong", "wrong:gpus", "GPU 1 is faulty, so it is not allocated: Xid 79",
             reading=reads(gpus=(gpu(0), gpu(1, fault="Xid 79")))),
        case("a GPU whose use is unknown is wrong", "wrong:gpus", "GPU 0 is not allocated, for its use unknown",
             reading=reads(gpus=(gpu(0, use=None),))),
        case("a vendor's GPUs that are missing are noted", "note:gpus", "no driver",
             reading=reads(gpus=(gpu(0),), gpus_missing=("no driver",))),
        case("without logind there is nothing to find", "", "", logind=None),
        case("a logind that kills is wrong", "wrong:logind", "KillUserProcesses=yes",
             logind=Logind(kills_user_processes=True, lingers=False)),
        case("who lingers can get around it", "note:logind", "your own systemd",
             logind=Logind(kills_user_processes=True, lingers=True)),
        case("a logind that does not tell is not well", "note:logind", "unknown: timed out",
             logind=Logind(kills_user_processes=LOST, lingers=False)),
        case("one that hung is not either", "note:logind", "unknown: timed out", logind=LOST),
        case("limits that cannot be seen are no news", "", "", sshd=SshdLimits()),
        case("no sessions at all is wrong", "wrong:sshd", "allows 0 sessions", sshd=SshdLimits(max_sessions=0)),
        case("few sessions are noted", "note:sshd", "allows 2 sessions", sshd=SshdLimits(max_sessions=2)),
        case("few logins at once are noted", "note:sshd", "when 3 or more", sshd=SshdLimits(max_startups=3)),
        case("two seconds are no offset", "", "", clock_offset_s=-2.0),
        case("three seconds are noted", "note:clock", "3 s ahead of", clock_offset_s=3.0),
        case("a minute is wrong", "wrong:clock", "60 s behind", clock_offset_s=-60.0),
        case("a clock that is not told is not right", "note:clock", "unknown: timed out", clock_offset_s=LOST),
        case("every check has its own say", "wrong:python note:sshd wrong:clock", "no python3",
             python=None, sshd=SshdLimits(max_sessions=1), clock_offset_s=99.0),
    ],
)  # fmt: skip
def test_a_node_is_judged(node: Examined, findings: list[str], part: str) -> None:
    found = node_findings(node)
    assert [":".join(one) for one in told(found)] == findings
    assert not found or part in found[0].what
    assert all(one.node == "n" and one.hint for one in found)


FAULTY = replace(gpu(0, fault="Xid 79"), bus_id="00000000:3b:00.0")


@pytest.mark.parametrize(
    ("faulty", "names_reset"),
    [
        pytest.param(FAULTY, True, id="a GPU of NVIDIA, by its bus id"),
        pytest.param(replace(FAULTY, bus_id=""), False, id="not one whose place is not told: its index is made up"),
        pytest.param(replace(FAULTY, parent="GPU-9"), False, id="not a part: others use the rest"),
        pytest.param(replace(FAULTY, uuid="GPU-amd-0"), False, id="not an AMD card"),
    ],
)
def test_a_reset_is_named_only_where_it_hits_that_device_alone(faulty: Gpu, names_reset: bool) -> None:
    (found,) = node_findings(examined(reading=reads(gpus=(faulty,))))
    assert "nvidia-smi -q" in found.hint
    assert ("with no job on it: `nvidia-smi --gpu-reset -i 00000000:3b:00.0`" in found.hint) == names_reset
    assert ("reset" in found.hint) == names_reset


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_of_silence_is_wrong_and_has_something_to_type(cause: Cause) -> None:
    (found,) = node_findings(Silent(node=NodeName("n"), cause=cause, reason="ssh said so"))
    assert (found.severity, found.check, found.node) == (Severity.WRONG, "reach", "n")
    assert found.what.startswith(cause.value)
    assert found.hint == HINTS[cause]
    assert "{node}" in found.hint or "`" in found.hint or cause is Cause.HUNG


def test_two_nodes_that_are_silent_for_the_same_cause_are_told_alike() -> None:
    one, two = (
        node_findings(Silent(node=NodeName(n), cause=Cause.DNS, reason=f"Could not resolve hostname {n}"))[0].what
        for n in ("a", "b")
    )
    assert one == two == "name not resolved"


def test_wrong_things_come_first_and_otherwise_nothing_moves() -> None:
    found = [note("a", "", ""), wrong("b", "", ""), note("c", "", ""), wrong("d", "", "")]
    assert [one.check for one in worst_first(found)] == ["b", "d", "a", "c"]


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        pytest.param("OpenSSH_9.2p1 Debian-2, OpenSSL 3.0", None, id="OpenSSH is well"),
        pytest.param("Dropbear v2022.83", "note", id="another client is noted"),
        pytest.param("", "wrong", id="one that does not run is wrong"),
        pytest.param(None, "wrong", id="none is wrong"),
    ],
)
def test_the_ssh_client_is_judged(version: str | None, severity: str | None) -> None:
    assert [one.severity for one in ssh_findings(version)] == ([] if severity is None else [severity])


def test_too_few_open_files_are_noted_and_enough_are_not() -> None:
    (found,) = open_files_findings(63, 64)
    assert (found.severity, "63 sessions" in found.what) == (Severity.NOTE, True)
    assert list(open_files_findings(64, 64)) == []


def test_groups_without_nodes_are_one_note_and_unusable_ones_wrong_each() -> None:
    found = list(group_findings([f"g{n}" for n in range(12)], {"bad": "x not allowed"}))
    assert told(tuple(found)) == [("wrong", "groups"), ("note", "groups")]
    assert "g9 and 2 more" in found[1].what
    assert list(group_findings([], {})) == []


def test_the_store_and_the_nodes_shun_the_same_file_systems() -> None:
    assert NETWORK_FILE_SYSTEMS == OF_THE_STORE
