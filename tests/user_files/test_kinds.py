"""What is written to under a name: a regular file, a device, a FIFO with a reader, an open descriptor; nothing else."""

import os
import pty
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from clbalance.errors import ClbalanceError, ExitCode, UsageError
from clbalance.user_files import check_folder, check_writable, open_for_appending, replace_file

Way = Callable[[str], None]


def _append(path: str) -> None:
    with open_for_appending(path, emptied=True) as file:
        file.append(b"new\n")


def _replace(path: str) -> None:
    replace_file(path, b"new\n")


def _check(path: str) -> None:
    check_writable(path).close()


def _check_replaced(path: str) -> None:
    check_writable(path, replaced=True).close()


WRITING = [pytest.param(_append, id="appended to"), pytest.param(_replace, id="replaced")]
ALL = [*WRITING, pytest.param(_check, id="checked"), pytest.param(_check_replaced, id="checked to be replaced")]


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _fifo(folder: Path) -> Path:
    made = folder / "fifo"
    os.mkfifo(made)
    return made


def _reader(fifo: Path, opened: ExitStack) -> int:
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    opened.callback(os.close, fd)
    return fd


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("way", WRITING)
def test_a_regular_file_is_written_whole(way: Way, own: Path) -> None:
    way(str(own / "new"))
    (own / "old").write_text("much longer than what is new")
    way(str(own / "old"))
    assert {path.name: path.read_text() for path in own.iterdir()} == {"new": "new\n", "old": "new\n"}


@pytest.mark.parametrize("way", ALL)
def test_a_device_stays_one(way: Way, own: Path) -> None:
    way("/dev/null")
    assert stat.S_ISCHR(os.lstat("/dev/null").st_mode)
    if os.geteuid() == 0:
        device = own / "null"
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        before = os.lstat(device)
        way(str(device))
        assert (os.lstat(device).st_ino, os.lstat(device).st_rdev) == (before.st_ino, before.st_rdev)
        assert os.listdir(own) == ["null"]


@pytest.mark.parametrize("way", WRITING)
def test_a_full_device_is_told(way: Way) -> None:
    with pytest.raises(ClbalanceError, match=r"cannot write '/dev/full': No space left") as caught:
        way("/dev/full")
    assert caught.value.exit_code == ExitCode.FAILED


@pytest.mark.parametrize("way", WRITING)
def test_a_terminal_is_written_to(way: Way, opened: ExitStack) -> None:
    master, slave = pty.openpty()
    opened.callback(os.close, master)
    opened.callback(os.close, slave)
    way(os.ttyname(slave))
    assert os.read(master, 100) == b"new\r\n"


def test_a_terminal_is_known_as_one_and_a_file_is_not(own: Path, opened: ExitStack) -> None:
    master, slave = pty.openpty()
    opened.callback(os.close, master)
    opened.callback(os.close, slave)
    with open_for_appending(os.ttyname(slave)) as terminal, open_for_appending(str(own / "file")) as file:
        assert (terminal.is_terminal, file.is_terminal) == (True, False)


@pytest.mark.parametrize("way", WRITING)
def test_a_fifo_with_a_reader_is_written_to_and_stays_one(way: Way, own: Path, opened: ExitStack) -> None:
    fifo = _fifo(own)
    reader = _reader(fifo, opened)
    way(str(fifo))
    assert (os.read(reader, 100), os.read(reader, 100)) == (b"new\n", b"")
    assert stat.S_ISFIFO(os.lstat(fifo).st_mode)


@pytest.mark.parametrize("way", ALL)
def test_a_fifo_that_nobody_reads_is_refused_at_once(way: Way, own: Path) -> None:
    fifo = _fifo(own)
    with pytest.raises(UsageError, match="it is a FIFO, and nobody reads from it") as caught:
        way(str(fifo))
    assert f"`cat {fifo}`" in caught.value.hint
    assert stat.S_ISFIFO(os.lstat(fifo).st_mode)


def test_a_check_does_not_end_what_the_reader_of_a_fifo_waits_for(own: Path, opened: ExitStack) -> None:
    fifo = _fifo(own)
    reader = _reader(fifo, opened)
    with check_writable(str(fifo)):
        with pytest.raises(BlockingIOError):  # and not b"", the end
            os.read(reader, 1)
        _append(str(fifo))
        assert os.read(reader, 100) == b"new\n"


@pytest.mark.parametrize("way", WRITING)
def test_a_reader_that_has_gone_is_told(way: Way, own: Path) -> None:
    fifo = _fifo(own)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with open_for_appending(str(fifo)) as file:
        os.close(reader)
        with pytest.raises(ClbalanceError, match="its reader has gone"):
            file.append(b"x")


def test_a_reader_that_sleeps_does_not_hold_up_what_nobody_watches(own: Path, opened: ExitStack) -> None:
    fifo = _fifo(own)
    reader = _reader(fifo, opened)
    with pytest.raises(ClbalanceError, match=r"its reader has taken nothing for 0.05 s"):
        replace_file(str(fifo), b"x" * 1_000_000, within_s=0.05)
    assert os.read(reader, 10) == b"x" * 10


@pytest.mark.parametrize("by", ["name", "descriptor"])
def test_a_slow_reader_gets_every_byte(by: str, own: Path, opened: ExitStack) -> None:
    fifo = _fifo(own)
    reader = _reader(fifo, opened)
    writer = os.open(fifo, os.O_WRONLY)
    opened.callback(os.close, writer)
    os.set_inheritable(writer, True)
    data = os.urandom(300_000)
    got = bytearray()

    def read() -> None:
        os.set_blocking(reader, True)
        while len(got) < len(data):
            got.extend(os.read(reader, 1000))

    thread = threading.Thread(target=read)
    thread.start()
    with open_for_appending(str(fifo) if by == "name" else f"/dev/fd/{writer}") as file:
        file.append(data)
    thread.join(20)
    assert bytes(got) == data


@pytest.mark.parametrize("way", ALL)
def test_a_socket_is_refused(way: Way, own: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(str(own / "socket"))
        listening.listen()
        with pytest.raises(UsageError, match="it is a socket"):
            way(str(own / "socket"))
        assert stat.S_ISSOCK(os.lstat(own / "socket").st_mode)


@pytest.mark.parametrize("way", ALL)
def test_a_disk_is_refused_before_it_is_opened(way: Way, own: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(own / "disk", 0o600 | stat.S_IFBLK, os.makedev(7, 255))
    with pytest.raises(UsageError, match="it is a disk"):
        way(str(own / "disk"))


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize(
    ("name", "reason", "hint"),
    [
        ("", "No such file or directory", "mkdir -p"),
        ("no/such", "No such file or directory", "mkdir -p"),
        ("file/x", "Not a directory", "that you may write to"),
        ("file/", "Not a directory", "that you may write to"),
        ("folder", "Is a directory", "name a file in it"),
        ("folder/", "Is a directory", "name a file in it"),
        ("folder/..", "Is a directory", "name a file in it"),
        ("/", "Is a directory", "name a file in it"),
        ("circle", "Too many levels of symbolic links", "in a circle"),
        ("x" * 256, "File name too long", "that you may write to"),
        ("nul\0byte", "Invalid argument", "that you may write to"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_made(
    way: Way, own: Path, monkeypatch: pytest.MonkeyPatch, name: str, reason: str, hint: str
) -> None:
    monkeypatch.chdir(own)
    (own / "file").touch()
    (own / "folder").mkdir()
    (own / "circle").symlink_to("circle")
    before = _descriptors()
    with pytest.raises(UsageError, match=reason) as caught:
        way(name)
    assert hint in caught.value.hint
    assert caught.value.message.startswith(f"cannot write {name!r}")
    assert (sorted(os.listdir(own)), os.listdir(own / "folder")) == (["circle", "file", "folder"], [])
    assert _descriptors() == before


def test_a_check_makes_and_changes_nothing(own: Path) -> None:
    (own / "old").write_text("kept")
    for name in ("old", "new"):
        _check(str(own / name))
        _check_replaced(str(own / name))
    assert {path.name: path.read_text() for path in own.iterdir()} == {"old": "kept"}


def test_a_folder_is_checked_without_a_file_in_it(own: Path) -> None:
    check_folder(str(own))
    with pytest.raises(UsageError, match="No such file"):
        check_folder(str(own / "none"))
    (own / "file").touch()
    with pytest.raises(UsageError, match="Not a directory"):
        check_folder(str(own / "file"))


# -- open descriptors ----------------------------------------------------------------------------


@pytest.fixture
def pipe(opened: ExitStack) -> tuple[int, int]:
    """As the shell's `>(command)` makes one: a program inherits it."""
    reader, writer = os.pipe()
    opened.callback(os.close, reader)
    opened.callback(os.close, writer)
    os.set_inheritable(writer, True)
    return reader, writer


@pytest.mark.parametrize("way", WRITING)
@pytest.mark.parametrize("path", ["/dev/fd/{}", "/proc/self/fd/{}", "{own}/link"])
def test_an_open_descriptor_is_written_to(way: Way, path: str, pipe: tuple[int, int], own: Path) -> None:
    reader, writer = pipe
    (own / "link").symlink_to(f"/dev/fd/{writer}")
    way(path.format(writer, own=own))
    assert os.read(reader, 100) == b"new\n"


@pytest.mark.parametrize("way", WRITING)
def test_a_file_that_the_shell_opened_is_added_to_where_it_stands(way: Way, own: Path, opened: ExitStack) -> None:
    fd = os.open(own / "log", os.O_WRONLY | os.O_CREAT)
    opened.callback(os.close, fd)
    os.set_inheritable(fd, True)
    os.write(fd, b"before ")
    way(f"/dev/fd/{fd}")
    os.write(fd, b"after")
    assert (own / "log").read_text() == "before new\nafter"


@pytest.mark.parametrize("way", ALL)
def test_a_descriptor_that_only_we_have_opened_is_not_meant(way: Way, own: Path) -> None:
    database = own / "state.db"
    with database.open("wb") as file, pytest.raises(UsageError, match=f"descriptor {file.fileno()} is not open"):
        way(f"/dev/fd/{file.fileno()}")
    assert database.read_bytes() == b""


@pytest.mark.parametrize("way", ALL)
@pytest.mark.parametrize("number", ["999", "999999999"])
def test_a_descriptor_that_is_not_open_is_told(way: Way, number: str) -> None:
    with pytest.raises(UsageError, match=f"descriptor {number} is not open") as caught:
        way(f"/dev/fd/{number}")
    assert f"`{number}> FILE`" in caught.value.hint


@pytest.mark.parametrize("way", ALL)
def test_a_descriptor_for_reading_is_told(way: Way, own: Path, opened: ExitStack) -> None:
    (own / "input").touch()
    fd = os.open(own / "input", os.O_RDONLY)
    opened.callback(os.close, fd)
    os.set_inheritable(fd, True)
    with pytest.raises(UsageError, match=f"descriptor {fd} is open for reading only"):
        way(f"/dev/fd/{fd}")


@pytest.mark.parametrize("way", ALL)
def test_a_descriptor_of_another_process_is_refused(way: Way) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        with pytest.raises(UsageError, match="it is a descriptor of another process"):
            way(f"/proc/{other.pid}/fd/1")
        assert other.communicate()[0] == b""
