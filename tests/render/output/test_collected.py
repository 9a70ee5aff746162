"""Output that goes into a document: exact, in bounded memory, and without files that nobody is told of."""

import base64
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.errors import ClbalanceError
from clbalance.model import NodeName
from clbalance.render.output.collected import MOST_INSIDE_BYTES, Collected

N1, N2 = NodeName("node1"), NodeName("node2")


def nowhere(*_: str) -> None:
    """No stream went to a file of `--output`."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def kept(folder: Path) -> Iterator[Collected]:
    made = Collected()
    yield made
    made.discard()


@given(
    st.lists(st.tuples(st.sampled_from([N1, N2]), st.sampled_from(["stdout", "stderr"]), st.binary(max_size=20_000)))
)
def test_every_byte_of_every_stream_is_in_it(pieces: list[tuple[NodeName, str, bytes]]) -> None:
    kept, expected = Collected(), dict[tuple[str, str], bytes]()
    for node, stream, piece in pieces:
        kept.write(node, stream, piece)
        expected[node, stream] = expected.get((node, stream), b"") + piece
    found = kept.documents([N1, N2], nowhere)
    assert found.keys() == expected.keys()
    for key, content in expected.items():
        one = found[key]
        assert isinstance(one, dict)
        assert one["bytes"] == len(content)
        assert (one["text"] or "").encode() + base64.b64decode(one["base64"] or "") == content
    kept.discard()


def test_what_is_too_long_is_in_a_file_once_it_is_told(kept: Collected, folder: Path) -> None:
    for _ in range(40):
        kept.write(N1, "stdout", b"x" * (MOST_INSIDE_BYTES // 40 + 1))
    assert list(folder.iterdir()) == []
    one = kept.documents([N1], nowhere)[N1, "stdout"]
    assert isinstance(one, dict)
    (file,) = folder.iterdir()
    assert one == {"bytes": file.stat().st_size, "text": None, "base64": None, "path": str(file)}
    assert set(file.read_bytes()) == {ord("x")}
    assert file.stat().st_mode & 0o777 == 0o600


def test_many_streams_together_stay_within_bounds(kept: Collected, folder: Path) -> None:
    nodes = [NodeName(f"node{number}") for number in range(70)]
    tracemalloc.start()
    for node in nodes:
        kept.write(node, "stdout", b"x" * MOST_INSIDE_BYTES)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20, "while the job runs"
    tracemalloc.stop()
    found = kept.documents(nodes, nowhere)
    assert sum(isinstance(one, dict) and one["path"] is not None for one in found.values()) == 6
    assert len(list(folder.iterdir())) == 6


def test_the_output_of_a_former_attempt_is_forgotten(kept: Collected) -> None:
    kept.write(N1, "stdout", b"first")
    kept.begin_anew()
    kept.end(N2)
    empty = {"bytes": 0, "text": "", "base64": None, "path": None}
    assert kept.documents([N1, N2], nowhere) == {(N2, "stdout"): empty, (N2, "stderr"): empty}


def test_without_room_it_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder / "missing"))
    with pytest.raises(ClbalanceError) as caught:
        Collected()
    assert "`--json`" in caught.value.hint
