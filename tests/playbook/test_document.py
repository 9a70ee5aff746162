"""YAML as a playbook has it: what is refused, and where it stands."""

import pytest

from clbalance.playbook.document import MOST_BYTES, read_document

from .build import refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "p.yml: it is empty"),
        (b"# nothing\n", "p.yml: it is empty"),
        (b"steps", "p.yml:1:1: it is one value; a playbook is a table of keys"),
        (b"- run: true", "p.yml:1:1: it is a list; a playbook is a table of keys"),
        (b"a: 1\nb: 2\na: 3", "p.yml:3:1: a: `a` stands here for the second time; the first is on line 1"),
        (b"a: &x 1\nb: *x", "p.yml:1:4: b: an alias (`*name`) repeats this value; write it twice instead"),
        (b"a: *x", "p.yml:1:4: it is not YAML: found undefined alias"),
        (b"steps: !!python/name:os.system ''", "p.yml:1:8: steps: the tag `!!python/name:os.system` is not allowed"),
        (b"a: !local 1", "p.yml:1:4: a: the tag `!local` is not allowed"),
        (b"a: !!int x", "p.yml:1:4: a: the tag `!!int` is not allowed"),
        (b"a: 1\n---\nb: 2", "p.yml:2:1: it is not YAML: a second document begins here; a file holds one playbook"),
        (b"a: 1\nb: \xff\xfe", "p.yml:2:4: byte 0xff is not UTF-8"),
        (b"a: 1\nb: x\x00y", "p.yml:2:5: the character '\\x00' is not allowed in YAML"),
        (b"{[1]: 2}", "p.yml:1:2: a key must be a word"),
        (b"[" * 2000, "p.yml:1:1001: it is not YAML: exceeded maximum nesting depth"),
        (b"a: " + b"[" * 30 + b"]" * 30, "is nested more than 20 deep"),
        (b"a: [1", "p.yml:2:1: it is not YAML: did not find expected ',' or ']'"),
        (b"steps:\n\t- run: x", "p.yml:2:1: it is not YAML: found character that cannot start any token"),
    ],
)
def test_what_yaml_allows_and_a_playbook_does_not_is_told_with_its_place(text: bytes, message: str) -> None:
    assert message in refused(text)[0]


def test_aliases_that_would_stand_for_a_billion_values_are_refused_at_once() -> None:
    levels = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))]
    assert "alias" in refused("\n".join(levels))[0]


def test_a_file_of_many_megabytes_is_not_parsed() -> None:
    assert (
        refused(b"#" * (MOST_BYTES + 1))[0]
        == f"p.yml: it has {MOST_BYTES + 1:,} bytes; a playbook has at most 1,048,576"
    )


def test_only_words_of_json_are_more_than_text() -> None:
    plain = "{a: on, b: yes, c: 012, d: 1:30, e: 0x1F, f: 1_000, g: 2026-11-30, h: .inf, i: 1e3, j: No, k: True}"
    values = read_document(f"a: {plain}".encode(), "p.yml").values["a"]
    assert isinstance(values, dict)
    assert all(isinstance(value, str) for value in values.values())
    assert read_document(b"{a: 12, b: -1.5, c: true, d: null, e: ~, f: }", "p.yml").values == {
        "a": 12, "b": -1.5, "c": True, "d": None, "e": None, "f": None,
    }  # fmt: skip


def test_a_byte_order_mark_and_carriage_returns_do_no_harm() -> None:
    assert read_document(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "p.yml").values == {"a": 1, "b": 2}
