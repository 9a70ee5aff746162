"""Where the state is kept, and which folders are refused."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from clbalance.errors import StoreError
from clbalance.store.location import network_file_system, state_directory, this_machine

MACHINE = "0123456789abcdef0123456789abcdef"


def mounts(tmp_path: Path, **kinds: Path) -> Path:
    """A mountinfo in which `nfs4=/some/folder` is mounted over a local root."""
    lines = ["27 1 254:0 / / rw,relatime - ext4 /dev/vda rw"]
    lines += [
        f"{40 + number} 27 0:{number} / {point} rw - {kind} server:/x rw"
        for number, (kind, point) in enumerate(kinds.items())
    ]
    file = tmp_path / "mountinfo"
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({"HOME": "{}"}, f".local/state/clbalance/{MACHINE}", id="in the home"),
        pytest.param({"HOME": "/nowhere", "XDG_STATE_HOME": "{}/xdg"}, f"xdg/clbalance/{MACHINE}", id="where XDG says"),
        pytest.param(
            {"HOME": "{}", "XDG_STATE_HOME": "relative"},
            f".local/state/clbalance/{MACHINE}",
            id="a relative XDG_STATE_HOME is ignored",
        ),
        pytest.param(
            {"HOME": "{}", "XDG_STATE_HOME": ""}, f".local/state/clbalance/{MACHINE}", id="an empty one is none"
        ),
        pytest.param(
            {"HOME": "{}", "XDG_STATE_HOME": "{}/xdg", "CLBALANCE_STATE_DIR": "{}/mine"}, "mine", id="our variable wins"
        ),
    ],
)
def test_the_state_is_kept(tmp_path: Path, environment: dict[str, str], expected: str) -> None:
    filled = {name: value.format(tmp_path) for name, value in environment.items()}
    found = state_directory(filled, MACHINE, mountinfo=mounts(tmp_path))
    assert found.path == tmp_path / expected
    assert found.note is None
    assert found.path.stat().st_mode & 0o7777 == 0o700


def test_a_relative_folder_is_one_below_the_current_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert state_directory({"CLBALANCE_STATE_DIR": "here"}, MACHINE).path == tmp_path / "here"


def test_a_folder_that_is_there_is_used_again(tmp_path: Path) -> None:
    environment = {"CLBALANCE_STATE_DIR": str(tmp_path / "mine")}
    assert state_directory(environment, MACHINE) == state_directory(environment, MACHINE)


def test_on_a_network_the_state_moves_to_a_local_folder_and_says_so(tmp_path: Path) -> None:
    home, local = tmp_path / "home", tmp_path / "local"
    found = state_directory({"HOME": str(home)}, MACHINE, mountinfo=mounts(tmp_path, nfs4=home), local=local)
    assert found.path == local / f"clbalance-state-{os.geteuid()}"
    assert found.path.stat().st_mode & 0o7777 == 0o700
    assert found.note is not None
    assert "is on nfs4, where locks cannot be relied on" in found.note
    assert not home.exists()


def test_a_link_into_the_network_is_seen_through(tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    (tmp_path / "home").symlink_to(export)
    found = state_directory(
        {"HOME": str(tmp_path / "home")}, MACHINE, mountinfo=mounts(tmp_path, nfs=export), local=tmp_path / "local"
    )
    assert found.note is not None


def test_no_local_folder_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"is on nfs, .* on lustre") as caught:
        state_directory(
            {"HOME": str(tmp_path / "home")},
            MACHINE,
            mountinfo=mounts(tmp_path, nfs=tmp_path / "home", lustre=tmp_path / "local"),
            local=tmp_path / "local",
        )
    assert "`CLBALANCE_STATE_DIR`" in caught.value.hint


def test_without_proc_the_folder_is_taken_for_local(tmp_path: Path) -> None:
    assert state_directory({"HOME": str(tmp_path)}, MACHINE, mountinfo=tmp_path / "none").note is None


def test_without_home_the_password_entry_counts(tmp_path: Path) -> None:
    home = pwd.getpwuid(os.geteuid()).pw_dir
    refuge = tmp_path / "local"
    # The home is declared a network one, so that nothing of the real user's is touched.
    found = state_directory({}, MACHINE, mountinfo=mounts(tmp_path, nfs4=Path(os.path.realpath(home))), local=refuge)
    assert found.note is not None
    assert f"`{home}/.local/state/clbalance/{MACHINE}`" in found.note


NOBODYS_HOME = """
import os
from clbalance.errors import StoreError
from clbalance.store.location import state_directory
os.setuid(54321)
try:
    state_directory({}, "m")
except StoreError as error:
    print(error.message)
"""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becoming a uid without a name needs root")
def test_a_uid_without_home_is_told() -> None:
    said = subprocess.run([sys.executable, "-c", NOBODYS_HOME], capture_output=True, text=True, check=True).stdout
    assert said == "neither `HOME` nor a home folder of uid 54321 is known\n"


def test_a_folder_named_by_a_line_with_crlf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="ends with a carriage return"):
        state_directory({"CLBALANCE_STATE_DIR": f"{tmp_path}/x\r"}, "id")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(StoreError, match="is a link"):
        state_directory({"CLBALANCE_STATE_DIR": str(tmp_path / "link")}, MACHINE)


@pytest.mark.parametrize("make", ["file", "dangling link"])
def test_what_is_no_folder_is_refused(tmp_path: Path, make: str) -> None:
    place = tmp_path / "place"
    if make == "file":
        place.touch()
    else:
        place.symlink_to(tmp_path / "nowhere")
    with pytest.raises(StoreError, match="is not a folder"):
        state_directory({"CLBALANCE_STATE_DIR": str(place)}, MACHINE)


def test_a_folder_below_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made: Not a directory"):
        state_directory({"CLBALANCE_STATE_DIR": str(tmp_path / "file" / "state")}, MACHINE)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_folder_that_others_may_write_is_refused_with_the_cure(tmp_path: Path, mode: int) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(StoreError, match="others may write") as caught:
        state_directory({"CLBALANCE_STATE_DIR": str(place)}, MACHINE)
    assert caught.value.hint == f"`chmod 700 {place}` ends that"


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder away needs root")
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    with pytest.raises(StoreError, match="belongs to uid 65534, and you are uid 0"):
        state_directory({"CLBALANCE_STATE_DIR": str(place)}, MACHINE)


# -- mounts ---------------------------------------------------------------------------------------

TABLE = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:30 / /home rw - nfs4 server:/home rw
31 30 0:31 / /home/local rw shared:1 master:2 - xfs /dev/vdb rw
32 27 0:32 / /net\040work rw - fuse.sshfs user@host:/ rw
33 27 0:33 / /twice rw - nfs server:/x rw
34 27 0:34 / /twice rw - tmpfs tmpfs rw
a line that says nothing
35 - nfs
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/var/tmp", None, id="a local disk"),
        pytest.param("/home/me/.local", "nfs4", id="below a network mount"),
        pytest.param("/home", "nfs4", id="the mount point itself"),
        pytest.param("/homely", None, id="a name that only begins like a mount point"),
        pytest.param("/home/local/me", None, id="a local disk mounted in a network home"),
        pytest.param("/net work/x", "fuse.sshfs", id="a mount point with a space"),
        pytest.param("/twice/x", None, id="the last mount at a point hides the first"),
    ],
)
def test_the_file_system_is_that_of(path: str, kind: str | None) -> None:
    assert network_file_system(path, TABLE) == kind


# -- machine --------------------------------------------------------------------------------------


def test_a_machine_is_named_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text(MACHINE + "\n")
    assert this_machine((tmp_path / "none", tmp_path / "machine-id")) == MACHINE


@pytest.mark.parametrize("content", [b"", b"uninitialized\n", b"../../etc", b"\xff\xfe"])
def test_a_machine_without_id_is_named_by_its_host_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "machine-id").write_bytes(content)
    named = this_machine((tmp_path / "machine-id",))
    assert named
    assert "/" not in named
    assert "." not in named
