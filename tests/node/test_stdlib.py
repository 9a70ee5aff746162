"""The agent's own parts of the standard library do what those of the library do."""

import contextlib
import json
import re
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clbalance.node import stdlib
from clbalance.node.agent.fields import is_job_name, is_key
from clbalance.node.agent.job.program import shebang
from clbalance.node.agent.lease.drains import is_proposal_name
from clbalance.node.agent.lease.files import is_mark_name
from clbalance.node.agent.lease.homes import uid_in
from clbalance.node.agent.protocol import RefusedError
from clbalance.node.agent.requests import Requests

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(value=JSON, ascii_only=st.booleans(), space=st.sampled_from(["", " ", "\n", "\t\r\n "]))
def test_json_is_written_and_read_as_by_the_library(value: object, ascii_only: bool, space: str) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert stdlib.dumps(value, ensure_ascii=ascii_only) == text
    assert repr(stdlib.loads(f"{space}{text}{space}")) == repr(json.loads(text))


@given(text=st.text(alphabet='{}[]",:0123456789.eE+-tfn \\u\n') | st.text())
def test_what_is_not_json_is_a_value_error_as_in_the_library(text: str) -> None:
    try:
        expected = repr(json.loads(text))
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011 - its text is never shown
            stdlib.loads(text)
    else:
        assert repr(stdlib.loads(text)) == expected


def test_json_that_is_nested_too_deep_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="not JSON"):
        stdlib.loads("[" * 100_000)


def test_suppress_suppresses_the_errors_that_it_names_and_no_others() -> None:
    for suppress in (contextlib.suppress, stdlib.suppress):
        with suppress(FileNotFoundError, KeyError):
            raise FileNotFoundError
        with pytest.raises(ValueError, match="x"), suppress(KeyError):
            raise ValueError("x")


NAMES = [
    (is_key, r"[0-9a-f]{32}"),
    (is_job_name, r"[0-9a-f]{32}\.[1-9][0-9]{0,5}"),
    (is_proposal_name, r"drain-[0-9a-f]{32}"),
    (is_mark_name, r"drain(?:-[0-9a-f]{32})?|lease-[A-Za-z0-9_-]{1,64}\.[0-9]{1,9}"),
]
NEARLY = "[0-9a-f]{31,33}|(drain|lease)-?[0-9a-fA-Z_-]{0,66}|((lease-)?[0-9a-g]{1,33}|drain|lease-x)[.-][0-9٣]{0,10}\n?"


@pytest.mark.parametrize(("is_one", "pattern"), NAMES, ids=[is_one.__name__ for is_one, _ in NAMES])
def test_names_are_checked_as_by_a_regular_expression(is_one: object, pattern: str) -> None:
    @given(name=st.from_regex(pattern) | st.from_regex(NEARLY, fullmatch=True) | st.text())
    def agrees(name: str) -> None:
        assert is_one(name) == bool(re.fullmatch(pattern, name))  # type: ignore[operator]

    agrees()


@given(
    name=st.from_regex(rb"clbalance-[0-9]{0,11}(-[0-9]{0,2})?", fullmatch=True) | st.binary().map(b"clbalance-".__add__)
)
def test_a_home_is_known_by_its_name(name: bytes) -> None:
    found = re.fullmatch(rb"clbalance-(0|[1-9][0-9]{0,9})(?:-[1-9])?", name)
    assert uid_in(name) == (found and int(found[1]))


@given(head=st.binary().map(b"#!".__add__) | st.from_regex(rb"#![ \t]*[a-z/]*[ \t]*[a-z ]*[ \t\r]*\n?", fullmatch=True))
def test_an_interpreter_and_its_argument_are_cut_as_the_kernel_cuts_them(head: bytes) -> None:
    words = re.split(rb"[ \t]+", head.split(b"\n", 1)[0][2:].strip(b" \t"), maxsplit=1)
    assert shebang(head) == [word for word in words if word]


@given(
    data=st.from_regex(r"[A-Za-z0-9+/=]{0,9}!?", fullmatch=True)
    | st.text()
    | st.binary().map(b64encode).map(bytes.decode)
)
def test_base64_is_read_as_by_the_library(data: str) -> None:
    try:
        expected = b64decode(data, validate=True)
    except ValueError:
        with pytest.raises(RefusedError, match="not base64"):
            Requests.decoded({"op": "put", "data": data}, "stdin")
    else:
        assert Requests.decoded({"op": "put", "data": data}, "stdin") == expected
