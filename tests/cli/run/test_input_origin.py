"""Whose our standard input is, by what the parent has open: decided without any process."""

import stat
from dataclasses import replace

import pytest

from clbalance.cli.run.standard_input import OpenFile, Origin, Parent, origin_of

PIPE = OpenFile(fd=0, mode=stat.S_IFIFO, device=1, inode=10, at="0 0")
FILE = OpenFile(fd=0, mode=stat.S_IFREG, device=2, inode=20, at="0 100000", name="list")
SOCKET = OpenFile(fd=0, mode=stat.S_IFSOCK, device=3, inode=30, at="0 2")
NULL = OpenFile(fd=0, mode=stat.S_IFCHR, device=4, inode=40, at="0 0", name="null")
OTHER = OpenFile(fd=0, mode=stat.S_IFIFO, device=1, inode=11, at="0 0")
READ_BEFORE = replace(FILE, at="5 100000")


def parent(*files: OpenFile, program: str = "bash", arguments: tuple[str, ...] = ()) -> Parent:
    return Parent(program=program, files=files, arguments=arguments)


def at(fd: int, file: OpenFile) -> OpenFile:
    return replace(file, fd=fd)


@pytest.mark.parametrize(
    ("own", "process", "wanted"),
    [
        pytest.param(None, parent(PIPE), Origin.NONE, id="a closed input is none"),
        pytest.param(NULL, parent(NULL), Origin.NONE, id="a device is none"),
        pytest.param(PIPE, parent(NULL), Origin.REDIRECTED, id="a pipe that the parent does not have is redirected"),
        pytest.param(PIPE, parent(), Origin.REDIRECTED, id="also if the parent has no input"),
        pytest.param(FILE, parent(OTHER), Origin.REDIRECTED, id="so is a file"),
        pytest.param(SOCKET, parent(NULL), Origin.REDIRECTED, id="so is a socket"),
        pytest.param(PIPE, parent(PIPE), Origin.INHERITED, id="the parent's own pipe is inherited"),
        pytest.param(SOCKET, parent(SOCKET), Origin.INHERITED, id="the parent's own socket is inherited"),
        pytest.param(READ_BEFORE, parent(READ_BEFORE), Origin.INHERITED, id="the file of a loop is inherited"),
        pytest.param(FILE, parent(READ_BEFORE), Origin.REDIRECTED, id="a file that was opened again is redirected"),
        pytest.param(FILE, parent(FILE), Origin.INHERITED, id="a file is the script's, from its beginning on"),
        pytest.param(
            FILE, parent(FILE, at(11, OTHER), program="dash"), Origin.REDIRECTED, id="dash redirects itself for a while"
        ),
        pytest.param(
            READ_BEFORE,
            parent(READ_BEFORE, at(11, OTHER), program="dash"),
            Origin.INHERITED,
            id="also for a loop, which has read from it",
        ),
        pytest.param(
            FILE,
            parent(FILE, at(10, replace(FILE, inode=21, name="job.sh")), program="dash", arguments=("sh", "./job.sh")),
            Origin.INHERITED,
            id="the script that a shell reads is no input put aside",
        ),
        pytest.param(
            FILE, parent(FILE, at(11, OTHER), program="python3"), Origin.INHERITED, id="only shells put input aside"
        ),
        pytest.param(
            PIPE, parent(PIPE, at(11, OTHER), program="dash"), Origin.INHERITED, id="of a pipe nobody can tell"
        ),
        pytest.param(PIPE, parent(NULL, at(16, PIPE), program="tcsh"), Origin.INHERITED, id="csh keeps its input"),
        pytest.param(
            READ_BEFORE, parent(NULL, at(4, READ_BEFORE), program="fish"), Origin.INHERITED, id="fish keeps a loop's"
        ),
        pytest.param(PIPE, parent(NULL, at(4, PIPE), program="python3"), Origin.REDIRECTED, id="Popen(stdin=file)"),
        pytest.param(
            PIPE,
            parent(NULL, at(4, replace(PIPE, can_be_read=False)), program="fish"),
            Origin.REDIRECTED,
            id="the other end of a pipe is no input",
        ),
        pytest.param(PIPE, None, Origin.INHERITED, id="without a parent to look at, it is not touched"),
    ],
)
def test_origin(own: OpenFile | None, process: Parent | None, wanted: Origin) -> None:
    assert origin_of(own, process, frozenset(), begins_session=False) is wanted


def test_input_of_a_session_that_begins_with_us_is_given() -> None:
    assert origin_of(PIPE, None, frozenset(), begins_session=True) is Origin.GIVEN
    assert origin_of(PIPE, parent(NULL), frozenset(), begins_session=True) is Origin.GIVEN
    assert origin_of(PIPE, parent(PIPE), frozenset(), begins_session=True) is Origin.INHERITED


def test_a_descriptor_that_was_passed_on_to_us_is_not_put_aside() -> None:
    process = parent(FILE, at(12, OTHER), program="dash")
    assert origin_of(FILE, process, frozenset({12}), begins_session=False) is Origin.INHERITED
