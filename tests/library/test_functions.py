"""Calls of functions: their names, their words, and what comes back."""

import json
import os.path
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from clbalance.errors import RemoteError, TaskFailedError, UsageError
from clbalance.library.functions import PROGRAM, VARIABLE, call_words, function_name, result_of
from clbalance.library.values import Completed

JSON: Any = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | some.text(),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(), inner, max_size=3),
    max_leaves=8,
)


def answered(stdout: bytes, returncode: int = 0, stderr: bytes = b"") -> Completed:
    return Completed(args=("m:f",), returncode=returncode, stdout=stdout, stderr=stderr, node="node1", seconds=0.1)


def called(name: str, *args: object, **kwargs: object) -> Completed:
    """The call as a node makes it."""
    words = call_words(sys.executable, name, args, kwargs)
    done = subprocess.run(words, env={**os.environ, VARIABLE: PROGRAM}, capture_output=True, timeout=60, check=False)
    return Completed(
        args=words, returncode=done.returncode, stdout=done.stdout, stderr=done.stderr, node="node1", seconds=0.1
    )


def test_a_function_is_named_by_its_module() -> None:
    assert function_name(json.dumps) == "json:dumps"
    assert function_name(os.path.join) == "posixpath:join"
    assert function_name(json.JSONDecoder.decode) == "json.decoder:JSONDecoder.decode"
    assert function_name("package.module:Class.method") == "package.module:Class.method"


@pytest.mark.parametrize(
    "function", [lambda: 1, "".join, json.JSONDecoder().decode, int.__add__, "echo hello", "module:", ":f", "m:f()", ""]
)
def test_what_a_node_cannot_import_by_its_name_is_refused_here(function: Any) -> None:
    with pytest.raises(UsageError) as error:
        function_name(function)
    assert error.value.hint


@pytest.mark.parametrize("argument", [{1, 2}, b"bytes", object(), float("nan")])
def test_an_argument_that_is_no_json_is_refused_here(argument: object) -> None:
    with pytest.raises(UsageError, match="an argument of `m:f` is not JSON"):
        call_words("python3", "m:f", [argument], {})


@given(JSON)
def test_the_result_is_what_the_function_has_returned(value: object) -> None:
    assert result_of("m:f", answered(json.dumps({"result": value}).encode())) == value


@given(some.binary() | JSON.map(lambda value: json.dumps(value).encode()), some.integers(-20, 255))
def test_any_other_answer_is_an_error_and_never_a_result(stdout: bytes, returncode: int) -> None:
    with pytest.raises(TaskFailedError) as error:
        result_of("m:f", answered(stdout, returncode))
    assert error.value.node == "node1"


def test_the_program_returns_what_the_function_returns_and_its_prints_apart() -> None:
    assert result_of("m:f", called("operator:add", [1, "ü"], [{"a": None}])) == [1, "ü", {"a": None}]
    done = called("builtins:print", "not a result", flush=True)
    assert result_of("m:f", done) is None
    assert done.stderr == b"not a result\n"


def test_an_exception_comes_back_with_its_type_and_traceback() -> None:
    with pytest.raises(RemoteError, match=r"`m:f` on node1: KeyError: 'x'") as error:
        result_of("m:f", called("operator:getitem", {}, "x"))
    assert error.value.type_name == "KeyError"
    assert error.value.traceback.startswith("Traceback")
    with pytest.raises(RemoteError, match="ModuleNotFoundError"):
        result_of("m:f", called("no_such_module:f"))
    with pytest.raises(RemoteError, match="TypeError: Object of type complex is not JSON serializable"):
        result_of("m:f", called("builtins:complex", 1))


def test_a_program_that_exits_has_no_result() -> None:
    with pytest.raises(TaskFailedError, match=r"has given no result \(exit code 7\)"):
        result_of("m:f", called("sys:exit", 7))
