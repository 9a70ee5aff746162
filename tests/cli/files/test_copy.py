"""`clbalance copy`: files arrive whole with their modes and times, once; what cannot be done is told, node by node."""

import json
import os
import stat
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from clbalance.lab.spec import LabUser
from tests.cli.command import Command, ended, eventually, local_ssh
from tests.cli.held_jobs import LATER
from tests.cli.run.test_run_login_shells import CAN_LOG_IN, NOISE

from .trees import ODD_NAMES, make_tree, tree_at, unfinished

FILES = {"a.txt": b"one\n", "sub/b.txt": b"two\n", "sub/deep/empty": b"", "big": bytes(range(256)) * 4000}


def home_of(lab: Lab, node: str, user: str = "root") -> Path:
    return lab.node(node).folder.home(user)


@pytest.fixture
def source(folder: Path) -> Path:
    made = make_tree(folder / "release", FILES)
    (made / "a.txt").chmod(0o640)
    (made / "sub/b.txt").chmod(0o755)
    os.utime(made / "a.txt", ns=(1, 1_234_567_890_123_456_789))
    return made


def test_a_folder_arrives_on_each_node_with_its_modes_and_times(lab: Lab, clbalance: Command, source: Path) -> None:
    done = clbalance("copy", "-w", "node[1-3]", "release", "app/")
    assert done.rc == 0, done
    for node in ("node1", "node2", "node3"):
        assert tree_at(home_of(lab, node) / "app/release") == tree_at(source)
        assert not unfinished(home_of(lab, node))
    eventually(lambda: not local_ssh(lab))


def test_names_of_any_bytes_arrive_as_they_are(lab: Lab, clbalance: Command, folder: Path) -> None:
    source = make_tree(folder / "odd", {name: name for name in ODD_NAMES} | {b"sub\n/" + ODD_NAMES[1]: b"x"})
    assert clbalance("copy", "-w", "node1", "odd", ".").rc == 0
    assert tree_at(home_of(lab, "node1") / "odd") == tree_at(source)


def test_what_is_the_same_is_not_sent_again(clbalance: Command, source: Path) -> None:
    first = json.loads(clbalance("copy", "-w", "node1", "--json", "release", "app/").stdout)
    assert (first["sent"], first["same"]) == (4, 0)
    (source / "a.txt").write_bytes(b"changed\n")
    again = json.loads(clbalance("copy", "-w", "node1", "--json", "release", "app/").stdout)
    assert (again["sent"], again["sent_bytes"], again["same"]) == (1, 8, 3)


def test_with_checksum_a_file_of_the_same_size_and_time_but_another_content_is_sent(
    lab: Lab, clbalance: Command, source: Path
) -> None:
    clbalance("copy", "-w", "node1", "release", "app/")
    there = home_of(lab, "node1") / "app/release/a.txt"
    before = there.stat()
    there.write_bytes(b"eno\n")
    os.utime(there, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert json.loads(clbalance("copy", "-w", "node1", "--json", "release", "app/").stdout)["sent"] == 0
    assert json.loads(clbalance("copy", "-w", "node1", "--json", "--checksum", "release", "app/").stdout)["sent"] == 1
    assert there.read_bytes() == b"one\n"


def test_one_file_gets_a_new_name_unless_the_destination_is_a_folder(
    lab: Lab, clbalance: Command, source: Path
) -> None:
    home = home_of(lab, "node1")
    (home / "there").mkdir()
    assert clbalance("copy", "-w", "node1", "release/a.txt", "renamed").rc == 0
    assert clbalance("copy", "-w", "node1", "release/a.txt", "there").rc == 0
    assert clbalance("copy", "-w", "node1", "release/a.txt", "made/here/").rc == 0
    assert clbalance("copy", "-w", "node1", "release/a.txt", f"{home}/absolute").rc == 0
    for place in ("renamed", "there/a.txt", "made/here/a.txt", "absolute"):
        assert (home / place).read_bytes() == b"one\n"


def test_of_a_folder_with_a_slash_at_its_end_the_content_is_copied_each_time_to_the_same_place(
    lab: Lab, clbalance: Command, source: Path
) -> None:
    for _ in range(2):
        assert clbalance("copy", "-w", "node1", "release/", "app").rc == 0
    assert tree_at(home_of(lab, "node1") / "app") == tree_at(source)


def test_a_mode_with_setuid_arrives_without_it(lab: Lab, clbalance: Command, source: Path) -> None:
    (source / "a.txt").chmod(0o6755)
    assert clbalance("copy", "-w", "node1", "release/a.txt", ".").rc == 0
    assert stat.S_IMODE((home_of(lab, "node1") / "a.txt").stat().st_mode) == 0o755


def test_dry_run_and_diff_change_nothing(lab: Lab, clbalance: Command, source: Path) -> None:
    dry = clbalance("copy", "-w", "node1", "--dry-run", "release", "app/")
    diff = clbalance("copy", "-w", "node[1-2]", "--diff", "release", "app/")
    assert (dry.rc, diff.rc) == (0, 0)
    assert "release/sub/b.txt" in diff.text
    assert "node[1-2]" in diff.text
    assert not list(home_of(lab, "node1").iterdir())


def test_sync_deletes_what_is_not_in_the_source_and_nothing_beside_it(
    lab: Lab, clbalance: Command, source: Path
) -> None:
    clbalance("copy", "-w", "node1", "release", "app/")
    app = home_of(lab, "node1") / "app"
    make_tree(app, {"release/old/x": b"", "release/sub/old": b"", "other/kept": b""})
    (app / "release/link").symlink_to("/etc/passwd")
    done = clbalance("copy", "-w", "node1", "--sync", "--yes", "--json", "release", "app/")
    assert (done.rc, json.loads(done.stdout)["deleted"]) == (0, 4)
    assert tree_at(app / "release") == tree_at(source)
    assert (app / "other/kept").exists()
    assert Path("/etc/passwd").exists()


def test_sync_without_a_terminal_or_yes_is_refused_before_any_node_is_asked(clbalance: Command, source: Path) -> None:
    done = clbalance("copy", "-w", "node1", "--sync", "release", "app/")
    assert done.rc == 2
    assert "--yes" in done.stderr


@pytest.mark.parametrize(("answer", "rc", "is_there"), [(b"n\n", 1, True), (b"y\n", 0, False)])
def test_sync_asks_on_a_terminal_and_names_nodes_and_files(
    lab: Lab, clbalance: Command, source: Path, answer: bytes, rc: int, is_there: bool
) -> None:
    clbalance("copy", "-w", "node[1-2]", "release", "app/")
    old = [home_of(lab, node) / "app/release/old" for node in ("node1", "node2")]
    for file in old:
        file.write_bytes(b"")
    terminal = clbalance.on_terminal("copy", "-w", "node[1-2]", "--sync", "release", "app/", columns=200)
    terminal.read_until(b"[y/N]")
    assert b"node[1-2]: 1 file would be deleted: release/old" in terminal.raw
    terminal.type(answer)
    assert terminal.end() == rc
    assert [file.exists() for file in old] == [is_there, is_there]


def test_a_node_that_fails_fails_alone(lab: Lab, clbalance: Command, source: Path) -> None:
    lab.node("node2").kill()
    (home_of(lab, "node3") / "app").write_bytes(b"a file")
    done = clbalance("copy", "-w", "node[1-4]", "release", "app/")
    assert done.rc == 4
    assert "Connection refused" in done.stderr
    assert "node3: a file is where a folder is needed" in done.stderr
    for node in ("node1", "node4"):
        assert tree_at(home_of(lab, node) / "app/release") == tree_at(source)


def test_what_cannot_be_written_is_named_and_the_rest_is_copied(lab: Lab, clbalance: Command, source: Path) -> None:
    home = home_of(lab, "node1")
    make_tree(home, {"app/release/a.txt/is-a-folder": b"", "app/release/sub": b"a file"})
    (home / "app/release/big").symlink_to("/etc/hostname")
    done = clbalance("copy", "-w", "node1", "release", "app/")
    assert done.rc == 4
    for name in ("a.txt", "sub", "big"):
        assert name in done.stderr
    assert (home / "app/release/big").is_symlink()
    assert not unfinished(home)


@pytest.mark.root
def test_a_folder_that_leads_elsewhere_by_a_link_is_not_entered(lab: Lab, clbalance: Command, source: Path) -> None:
    home = home_of(lab, "node1")
    (home / "elsewhere").mkdir()
    (home / "app/release").mkdir(parents=True)
    (home / "app/release/sub").symlink_to(home / "elsewhere")
    done = clbalance("copy", "-w", "node1", "release", "app/")
    assert done.rc == 4
    assert not list((home / "elsewhere").iterdir())


@pytest.mark.root
def test_root_writes_to_a_folder_of_others_only_if_told_so(lab: Lab, clbalance: Command, source: Path) -> None:
    shared = home_of(lab, "node1") / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    refused = clbalance("copy", "-w", "node1", "release/a.txt", "shared/")
    assert refused.rc == 4
    assert "--into-shared-folder" in refused.stderr
    assert not list(shared.iterdir())
    (shared / "of-a-user").mkdir()
    os.chown(shared / "of-a-user", 2001, 2001)
    assert clbalance("copy", "-w", "node1", "release/a.txt", "shared/of-a-user/").rc == 4
    assert clbalance("copy", "-w", "node1", "--into-shared-folder", "release/a.txt", "shared/").rc == 0
    assert (shared / "a.txt").exists()


@pytest.mark.root
def test_without_permission_the_reason_is_told(lab: Lab, clbalance: Command, source: Path) -> None:
    closed = home_of(lab, "node1") / "closed"
    closed.mkdir(mode=0o755)
    done = clbalance("copy", "-l", "alice", "-w", "node1", "release/a.txt", f"{closed}/")
    assert done.rc == 4
    assert "no permission" in done.stderr
    assert "copied 0 files (0B)" in done.stderr, "what did not arrive does not count"


@pytest.mark.root
@pytest.mark.parametrize("user", CAN_LOG_IN, ids=lambda user: user.name)
def test_any_login_shell_will_do_though_it_talks(lab: Lab, clbalance: Command, source: Path, user: LabUser) -> None:
    home = home_of(lab, "node1", user.name)
    if user.name in NOISE:
        file, text = NOISE[user.name]
        make_tree(home, {file: text.encode()})
        for place in home.rglob("*"):
            os.chown(place, user.uid, user.uid)
    done = clbalance("copy", "-l", user.name, "-w", "node1", "release", "app/")
    assert done.rc == 0, done
    assert tree_at(home / "app/release") == tree_at(source)


NO_PYTHON = Fault(without=("python3",))


@pytest.mark.parametrize(
    "sshd",
    [{}, {"Subsystem": "other /bin/false"}, {"Subsystem": "sftp /nonexistent"}],
    ids=["by the subsystem", "where there is no subsystem", "where it is broken"],
)
def test_a_node_without_python_is_served_by_sftp(
    lab: Lab, clbalance: Command, source: Path, sshd: dict[str, str]
) -> None:
    lab.node("node1").boot(Fault(without=("python3",), sshd_options=sshd))
    os.utime(source / "a.txt", (1_234_567_890, 1_234_567_890))
    done = clbalance("copy", "-w", "node1", "release", "app/")
    assert done.rc == 0, done
    there = tree_at(home_of(lab, "node1") / "app/release")
    assert {name: facts[:2] for name, facts in there.items()} == {
        name: facts[:2] for name, facts in tree_at(source).items()
    }
    assert not unfinished(home_of(lab, "node1"))
    again = json.loads(clbalance("copy", "-w", "node1", "--json", "release", "app/").stdout)
    assert (again["sent"], again["same"]) == (0, 4)


def test_sync_by_sftp_deletes_as_well(lab: Lab, clbalance: Command, source: Path) -> None:
    lab.node("node1").boot(NO_PYTHON)
    make_tree(home_of(lab, "node1") / "app/release", {"old/deep/x": b"", "old/y": b""})
    done = clbalance("copy", "-w", "node1", "--sync", "--yes", "--json", "release", "app/")
    assert (done.rc, json.loads(done.stdout)["deleted"]) == (0, 4), done
    assert not (home_of(lab, "node1") / "app/release/old").exists()


@pytest.mark.root
def test_a_login_that_writes_text_where_sftp_begins_is_told(lab: Lab, clbalance: Command, source: Path) -> None:
    lab.node("node1").boot(Fault(without=("python3",), sshd_options={"Subsystem": "sftp /usr/lib/openssh/sftp-server"}))
    make_tree(home_of(lab, "node1", "bob"), {".bashrc": b"echo welcome to the node\n"})
    done = clbalance("copy", "-l", "bob", "-w", "node1", "release", "app/")
    assert done.rc == 4
    assert "node1: garbled answer: its login writes text where SFTP begins" in done.stderr


def test_a_node_that_hangs_ends_in_time_and_the_others_are_not_delayed(
    lab: Lab, clbalance: Command, source: Path
) -> None:
    lab.node("node1").hang()
    done = clbalance("copy", "-w", "node[1-2]", *LATER, "release", "app/")
    assert done.rc == 4
    assert "node1: " in done.stderr
    assert tree_at(home_of(lab, "node2") / "app/release") == tree_at(source)
    eventually(lambda: not local_ssh(lab))


def test_a_source_that_cannot_be_read_is_a_usage_error_and_no_node_is_asked(clbalance: Command) -> None:
    done = clbalance("copy", "-w", "node1", "missing", "app/")
    assert done.rc == 2
    assert "'missing'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("release", "app/"), "no nodes named"),
        (("-w", "node1", "release", ""), "DEST"),
        (("-w", "node1", "release", "sub/../release", "app/"), "two sources are called"),
        (("-w", "node1", "release/", "release/a.txt", "app/"), "must be the only one"),
        (("-w", "node1", "--yes", "release", "app/"), "`--yes` is for `--sync`"),
        (("-w", "node1", "release"), "Missing argument: FILE... and DEST are needed"),
        (("-w", "node1", "node2:motd", "release"), "`node2:motd` is on a node"),
    ],
)
def test_what_makes_no_sense_is_told(
    clbalance: Command, source: Path, arguments: tuple[str, ...], message: str
) -> None:
    (source.parent / "sub").mkdir()
    done = clbalance("copy", *arguments)
    assert done.rc == 2
    assert message in done.stderr


def test_ctrl_c_ends_all_and_leaves_no_unfinished_file(lab: Lab, clbalance: Command, folder: Path) -> None:
    endless = folder / "large"
    with endless.open("wb") as file:
        file.truncate(20 << 30)  # longer than the test waits; it has no blocks on disk
    child = clbalance.start("copy", "-w", "node[1-2]", "-q", "large", "app/")
    homes = [home_of(lab, "node1"), home_of(lab, "node2")]
    eventually(lambda: all(unfinished(home) for home in homes))
    child.send_signal(2)
    assert ended(child) == 130
    eventually(lambda: not any(unfinished(home) for home in homes) and not local_ssh(lab))
