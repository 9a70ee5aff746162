"""Names that come from the other side lead nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.model.files import Entry, FileKind, Manifest, ManifestError, safe_mode, unsafe_name


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "it is empty"),
        ("/etc/passwd", "it is absolute"),
        ("a//b", "it has an empty part"),
        ("a/", "it has an empty part"),
        ("..", "it has `.` or `..` as a part"),
        ("a/../b", "it has `.` or `..` as a part"),
        ("./a", "it has `.` or `..` as a part"),
        ("a\0b", "it has a NUL"),
        ("a" * 256, "it is too long"),
        ("é" * 128, "it is too long"),
        ("/".join(["a" * 255] * 17), "it is too long"),
        ("/".join("a" * 65), "it is more than 64 folders deep"),
        ("\ud800", "it is no file name"),
    ],
)
def test_a_name_that_could_lead_elsewhere_is_refused_with_the_reason(path: str, reason: str) -> None:
    assert unsafe_name(path) == reason


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", "..a", "a" * 255, "\udcff", "-rf", "a\nb", "a b", "/".join("a" * 64)]
)
def test_an_odd_name_that_leads_nowhere_is_taken(path: str) -> None:
    assert unsafe_name(path) is None


@given(st.binary(min_size=1, max_size=40))
def test_a_safe_name_stays_below_any_folder(raw: bytes) -> None:
    import os.path

    path = os.fsdecode(raw)
    if unsafe_name(path) is None:
        joined = os.path.normpath(f"/root/folder/{path}")
        assert joined == f"/root/folder/{path}"


def _file(path: str) -> Entry:
    return Entry(path=path, kind=FileKind.FILE)


def _folder(path: str) -> Entry:
    return Entry(path=path, kind=FileKind.FOLDER)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ([_file("a/../../b")], "has `.` or `..`"),
        ([_file("a"), _file("a")], "comes twice"),
        ([_file("a/b")], "in no folder"),
        ([_file("a"), _file("a/b")], "in no folder"),
        ([_file(str(number)) for number in range(4)], "more than 3"),
    ],
    ids=["unsafe", "twice", "no folder", "below a file", "too many"],
)
def test_a_list_that_breaks_the_rules_is_refused_whole(entries: list[Entry], said: str) -> None:
    with pytest.raises(ManifestError, match=said):
        Manifest.of(entries, most=3)


def test_a_folder_comes_before_what_is_in_it_whatever_the_order() -> None:
    manifest = Manifest.of([_file("a-b"), _file("a/b"), _folder("a")])

    assert [entry.path for entry in manifest] == ["a", "a/b", "a-b"]


def test_setuid_setgid_and_sticky_bits_are_never_copied() -> None:
    assert safe_mode(0o107755) == 0o755
