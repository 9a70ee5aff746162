"""What jobs print, on its way out: passed through, labelled, gathered, to files."""

import hashlib
import io
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clbalance.errors import ClbalanceError, UsageError
from clbalance.model import NodeName
from clbalance.render.output.files import FileNames, OutputFiles, expand
from clbalance.render.output.grouped import LONGEST_BYTES, Gathered, LineCutter
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import JobOutput, Outlet, Outlets, PassedThrough

N1, N2, N3 = (NodeName(f"node{i}") for i in (1, 2, 3))


class Caught:
    """Our standard output and error, in memory."""

    def __init__(self, *, terminal: bool = False, color: bool = False) -> None:
        self._out, self._err = io.BytesIO(), io.BytesIO()
        self.outlets = Outlets(
            stdout=Outlet(file=self._out, terminal=terminal, color=color),
            stderr=Outlet(file=self._err, terminal=terminal, color=color),
        )

    @property
    def out(self) -> bytes:
        return self._out.getvalue()

    @property
    def err(self) -> bytes:
        return self._err.getvalue()


class Counted(io.RawIOBase):
    """Takes everything, keeps its length and digest."""

    def __init__(self) -> None:
        self.length = 0
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.length += len(data)
        self.digest.update(data)
        return len(data)


def _fold(nodes: Iterable[NodeName]) -> str:
    return ",".join(nodes)


@pytest.fixture(params=["passed through", "labelled", "gathered", "files"])
def any_output(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[JobOutput]:
    outlets = Caught().outlets
    made: JobOutput
    match request.param:
        case "passed through":
            made = PassedThrough(outlets)
        case "labelled":
            made = Labelled(outlets)
        case "gathered":
            made = Gathered(outlets, [N1, N2], _fold)
        case _:
            names = FileNames(job_id=1, attempt=1, output=str(tmp_path / "%n"), error=None)
            made = OutputFiles(names, [N1, N2], otherwise=PassedThrough(outlets))
    yield made
    made.close()


def test_every_output_takes_ends_without_output_and_output_after_other_ends(any_output: JobOutput) -> None:
    any_output.end(N2)
    any_output.write(N1, "stdout", b"")
    any_output.write(N1, "stderr", b"half a line")
    any_output.end(N1)


# -- passed through ------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), st.binary(max_size=20))))
def test_passed_through_a_pipe_gets_every_byte(pieces: list[tuple[str, bytes]]) -> None:
    caught = Caught()
    output = PassedThrough(caught.outlets)
    for stream, piece in pieces:
        output.write(N1, stream, piece)
    output.close()
    assert caught.out == b"".join(piece for stream, piece in pieces if stream == "stdout")
    assert caught.err == b"".join(piece for stream, piece in pieces if stream == "stderr")


def test_passed_through_a_terminal_is_spared_escapes_whatever_their_cuts() -> None:
    caught = Caught(terminal=True)
    output = PassedThrough(caught.outlets)
    for piece in (b"a\x1b", b"]0;x\x07", b"\x1b[3", b"1mred"):
        output.write(N1, "stdout", piece)
    output.end(N1)
    assert caught.out == b"a\\x1b]0;x\\x07\x1b[31mred\x1b[0m"


# -- labelled ------------------------------------------------------------------------------------


def test_labelled_lines_are_whole_whoever_writes_in_between() -> None:
    caught = Caught()
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"one ")
    output.write(N2, "stdout", b"two\nthree\n")
    output.write(N1, "stderr", b"bad\n")
    output.write(N1, "stdout", b"line\n\nlast")
    output.end(N1)
    output.close()
    assert caught.out == b"node2: two\nnode2: three\nnode1: one line\nnode1: \nnode1: last\n"
    assert caught.err == b"node1: bad\n"


def test_labelled_close_gives_out_what_a_cut_short_run_left() -> None:
    caught = Caught()
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"half")
    output.close()
    assert caught.out == b"node1: half\n"


def test_labelled_binary_reaches_a_pipe_unchanged() -> None:
    caught = Caught()
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"\xff\x00\x1b[2J\r\n")
    assert caught.out == b"node1: \xff\x00\x1b[2J\r\n"


def test_labelled_progress_on_a_terminal_keeps_its_label() -> None:
    caught = Caught(terminal=True)
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"10%\r20%\rnode9: forged\r\n")
    assert caught.out == b"node1: 10%\rnode1: 20%\rnode1: node9: forged\n"


def test_labelled_colours_end_with_their_line() -> None:
    caught = Caught(terminal=True)
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"\x1b[31mred\nplain\n")
    assert caught.out == b"node1: \x1b[31mred\x1b[0m\nnode1: plain\n"


def test_labels_are_coloured_by_stream() -> None:
    caught = Caught(terminal=True, color=True)
    output = Labelled(caught.outlets)
    output.write(N1, "stdout", b"x\n")
    output.write(N1, "stderr", b"y\n")
    assert (caught.out, caught.err) == (b"\x1b[94mnode1: \x1b[0mx\n", b"\x1b[91mnode1: \x1b[0my\n")


# -- lines ---------------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=30) | st.just(b"\n") | st.integers(60_000, 140_000).map(lambda n: b"x" * n), max_size=6)
)
def test_cut_lines_put_together_are_the_stream(pieces: list[bytes]) -> None:
    cutter = LineCutter()
    lines = [line for piece in pieces for line in cutter.feed(piece)] + cutter.finish()
    assert b"".join(lines) == b"".join(pieces)
    assert all(0 < len(line) <= LONGEST_BYTES + 1 and b"\n" not in line[:-1] for line in lines)


def test_a_long_line_is_not_cut_within_a_character() -> None:
    cutter = LineCutter()
    lines = cutter.feed("x節".encode() * 30_000) + cutter.finish()
    assert len(lines) > 1
    for line in lines:
        line.decode()


def test_a_line_without_end_is_kept_in_bounded_memory() -> None:
    sink = Counted()
    outlet = Outlet(file=sink)  # type: ignore[arg-type]  # as much of a file as is needed
    output = Labelled(Outlets(stdout=outlet, stderr=outlet))
    piece = b"x" * 48_000
    tracemalloc.start()
    for _ in range(400):
        output.write(N1, "stdout", piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    output.close()
    assert sink.length > 400 * 48_000
    assert peak < 2_000_000


# -- gathered ------------------------------------------------------------------------------------


def _gather(pieces: Iterable[tuple[NodeName, str, bytes]], *, terminal: bool = False) -> Caught:
    caught = Caught(terminal=terminal)
    output = Gathered(caught.outlets, [N1, N2, N3], _fold)
    for node, stream, piece in pieces:
        output.write(node, stream, piece)
    assert caught.out == b""
    output.close()
    return caught


def test_gathered_equal_outputs_are_folded_under_one_heading_larger_groups_first() -> None:
    caught = _gather(
        [(N1, "stdout", b"odd\n"), (N3, "stdout", b"same\n"), (N2, "stdout", b"sa"), (N2, "stdout", b"me\n")]
    )
    line = b"---------------\n"
    assert caught.out == line + b"node2,node3 (2)\n" + line + b"same\n" + line + b"node1\n" + line + b"odd\n"


def test_gathered_order_is_that_of_the_node_set_not_of_arrival() -> None:
    caught = _gather([(N3, "stdout", b"c\n"), (N1, "stdout", b"a\n"), (N2, "stdout", b"b\n")])
    assert [line for line in caught.out.splitlines() if line.startswith(b"node")] == [b"node1", b"node2", b"node3"]


def test_gathered_a_missing_last_newline_makes_no_difference() -> None:
    assert b"node1,node2 (2)\n" in _gather([(N1, "stdout", b"x"), (N2, "stdout", b"x\n")]).out


def test_gathered_copies_that_printed_nothing_are_not_shown() -> None:
    caught = _gather([(N1, "stdout", b""), (N2, "stderr", b"bad\n")])
    assert caught.out == b""
    assert caught.err == b"---------------\nnode2\n---------------\nbad\n"


def test_gathered_shows_a_terminal_no_escapes() -> None:
    assert _gather([(N1, "stdout", b"\x1b[2Jx\n")], terminal=True).out.endswith(b"\\x1b[2Jx\n")


def test_gathered_interleaved_megabytes_come_back_exactly_in_bounded_memory() -> None:
    out, err = Counted(), Counted()
    outlets = Outlets(stdout=Outlet(file=out), stderr=Outlet(file=err))  # type: ignore[arg-type]  # enough of a file
    expected = hashlib.sha256()
    blocks = [bytes([i]) * 40_000 for i in range(8)]
    tracemalloc.start()
    output = Gathered(outlets, [N1, N2], _fold)
    for i in range(500):
        output.write(N1, "stdout", blocks[i % 8])
        output.write(N2, "stderr", b"small")
    output.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected.update(b"---------------\nnode1\n---------------\n")
    for i in range(500):
        expected.update(blocks[i % 8])
    expected.update(b"\n")
    assert out.digest.digest() == expected.digest()
    assert peak < 4_000_000


def test_gathered_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(ClbalanceError, match="output cannot be kept") as caught:
        Gathered(Caught().outlets, [N1], _fold)
    assert "TMPDIR" in caught.value.hint


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("out", "out"), ("%j-%n.%a", "17-node1.2"), ("100%%%n", "100%node1"), ("%%j", "%j")],
)
def test_placeholders(pattern: str, name: str) -> None:
    assert expand(pattern, job_id=17, node=N1, attempt=2) == name


@pytest.mark.parametrize("pattern", ["%q", "50%", "%\n", "%%%"])
def test_an_unknown_placeholder_is_refused_with_those_there_are(pattern: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand(pattern, job_id=1, node=N1, attempt=1)
    assert "`%n` node" in caught.value.hint


def _files(
    output: str | None, error: str | None = None, nodes: tuple[NodeName, ...] = (N1, N2)
) -> tuple[OutputFiles, Caught]:
    caught = Caught()
    names = FileNames(job_id=17, attempt=1, output=output, error=error)
    return OutputFiles(names, nodes, otherwise=Labelled(caught.outlets)), caught


def test_each_copy_has_its_file_and_errors_go_with_the_output(tmp_path: Path) -> None:
    files, caught = _files(str(tmp_path / "%j-%n"))
    files.write(N1, "stdout", b"\xff\x00")
    files.write(N1, "stderr", b"bad")
    files.write(N2, "stdout", b"two")
    files.end(N1)
    files.close()
    assert (tmp_path / "17-node1").read_bytes() == b"\xff\x00bad"
    assert (tmp_path / "17-node2").read_bytes() == b"two"
    assert (caught.out, caught.err) == (b"", b"")


def test_a_stream_without_a_file_stays_on_the_screen(tmp_path: Path) -> None:
    files, caught = _files(None, str(tmp_path / "err"), nodes=(N1,))
    files.write(N1, "stdout", b"x\n")
    files.write(N1, "stderr", b"y\n")
    files.close()
    assert caught.out == b"node1: x\n"
    assert (tmp_path / "err").read_bytes() == b"y\n"


def test_copies_that_share_a_file_share_it_by_whole_lines(tmp_path: Path) -> None:
    files, _ = _files(str(tmp_path / "all"))
    for node, piece in ((N1, b"one "), (N2, b"two "), (N1, b"line\n"), (N2, b"lines\nand a half")):
        files.write(node, "stdout", piece)
    files.end(N2)
    files.end(N1)
    files.close()
    assert (tmp_path / "all").read_bytes() == b"one line\ntwo lines\nand a half\n"


def test_old_content_goes_and_what_others_append_stays(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.write_text("old")
    files, _ = _files(str(target), nodes=(N1,))
    files.write(N1, "stdout", b"1")
    with target.open("ab") as other:
        other.write(b"2")
    files.write(N1, "stdout", b"3")
    files.close()
    assert target.read_bytes() == b"123"


def test_a_missing_folder_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file") as caught:
        _files(str(tmp_path / "no" / "such" / "%n"))
    assert caught.value.hint == f"make the folder first: `mkdir -p {tmp_path / 'no' / 'such'}`"


def test_a_folder_as_a_file_is_told_with_a_name_that_would_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Is a directory") as caught:
        _files(str(tmp_path))
    assert "job-%j-%n.out" in caught.value.hint


def test_a_failed_opening_leaves_no_file_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(UsageError):
        _files(str(tmp_path / "%n"), str(tmp_path / "none" / "%n"))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_full_disk_is_told() -> None:
    files, _ = _files("/dev/full", nodes=(N1,))
    with pytest.raises(ClbalanceError, match="No space left"):
        files.write(N1, "stdout", b"x")
    files.close()
