"""Names and patterns that are asked of a node."""

import pytest

from clbalance.policy.files.patterns import has_own_name, is_match, split_name, split_pattern


@pytest.mark.parametrize(
    ("source", "folder", "pattern"),
    [
        ("/var/log/*.log", "/var/log", "*.log"),
        ("/*/x", "/", "*/x"),
        ("*.log", "", "*.log"),
        ("runs/[0-9]/out/", "runs", "[0-9]/out"),
        ("results", "results", ""),
        ("/", "/", ""),
    ],
)
def test_a_pattern_begins_at_the_first_part_with_a_wildcard(source: str, folder: str, pattern: str) -> None:
    assert split_pattern(source) == (folder, pattern)


@pytest.mark.parametrize(
    ("source", "folder", "name"),
    [("a", "", "a"), ("/a", "/", "a"), ("a/b/", "a", "b"), ("~/a", "~", "a"), ("/a/b", "/a", "b")],
)
def test_a_name_is_its_folder_and_its_last_part(source: str, folder: str, name: str) -> None:
    assert split_name(source) == (folder, name)


@pytest.mark.parametrize(
    ("name", "pattern", "matches"),
    [
        ("a.log", "*.log", True),
        ("a/b.log", "*.log", False),
        ("a/b.log", "*/*.log", True),
        (".hidden.log", "*.log", False),
        (".hidden.log", ".*.log", True),
        ("../victim", "*/victim", False),
        ("a.log", "*.txt", False),
        ("A.LOG", "*.log", False),
    ],
)
def test_a_match_is_part_by_part_as_a_shell_does_it(name: str, pattern: str, matches: bool) -> None:
    assert is_match(name, pattern) is matches


@pytest.mark.parametrize("source", ["", "/", "~", "~/", ".", "..", "a/..", "./"])
def test_a_result_cannot_be_named_after_a_place(source: str) -> None:
    assert not has_own_name(source)


def test_a_result_is_named_after_the_last_part() -> None:
    assert has_own_name("~/a")
