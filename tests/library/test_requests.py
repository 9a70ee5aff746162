"""Requests as keyword arguments: what is taken, and what is said of what makes no sense. No node is asked."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from clbalance import Cluster
from clbalance.errors import UsageError
from clbalance.library.requests import query_for
from clbalance.model import Request

Requested = Callable[..., Request]


@pytest.fixture
def cluster() -> Cluster:
    return Cluster("node[1-2]")


@pytest.fixture
def requested(cluster: Cluster) -> Requested:
    def requested(**request: Any) -> Request:
        return query_for(cluster.context, request, pick=1).request  # type: ignore[arg-type]  # what programs may give

    return requested


def test_the_names_are_those_of_options_and_none_is_the_default(requested: Requested) -> None:
    found = requested(cpus=2, mem="4G", gpus=1, exclusive=True, tmp=None)
    assert (found.cpus, found.mem_bytes, found.gpus, found.exclusive, found.tmp_bytes) == (2, 4 << 30, 1, True, 0)
    assert requested(cpus=None) == requested()


def test_one_text_where_several_may_be_given_is_one_of_them(requested: Requested) -> None:
    assert requested(tolerate="shared").constraints.tolerated == {"shared"}
    assert requested(near="train") == requested(near=["train"])


def test_numbers_of_other_libraries_are_numbers(requested: Requested) -> None:
    assert requested(cpus=Fraction(1, 2)).cpus == 0.5


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        ({"gpu": 1}, "a request has no `gpu`", "did you mean `gpus`?"),
        ({"colour": 1}, "a request has no `colour`", "it has cpus, mem, tmp"),
        ({"mem": 1 << 30}, "`mem` cannot be 1073741824", "such as `20G`"),
        ({"cpus": "2"}, "`cpus` cannot be '2'", "a number"),
        ({"gpus": 1.5}, "`gpus` cannot be 1.5", "a whole number"),
        ({"exclusive": "no"}, "`exclusive` cannot be 'no'", "True or False"),
        ({"gpu_share": 2.0}, "`--gpu-share` cannot be 2", "above 0 and below 1"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(
    requested: Requested, request_: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as error:
        requested(**request_)
    assert error.value.message == message
    assert hint in (error.value.hint or "")


@pytest.mark.parametrize("words", [["ls", 3], [], ["a\0b"], ["\ud800"], "\ud800", ["x" * 131_072]])
def test_what_no_program_can_be_given_is_refused_before_anything_is_asked(cluster: Cluster, words: Any) -> None:
    with pytest.raises(UsageError):
        cluster.submit(words)


@pytest.mark.parametrize("env", [{"A": 3}, {"A": "a\0b"}, {"A-B": "c"}])
def test_a_variable_that_cannot_be_is_refused(cluster: Cluster, env: Any) -> None:
    with pytest.raises(UsageError, match="`env`: "):
        cluster.submit("true", env=env)


def test_one_option_for_ssh_is_one_option() -> None:
    assert Cluster("node1", ssh_options="-p 22").nodes == ("node1",)
