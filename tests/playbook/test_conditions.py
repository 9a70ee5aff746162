"""Conditions of steps: three truths, and a node's output that is only ever data."""

import pytest

from clbalance.errors import ExpressionError
from clbalance.model import Unknown
from clbalance.model.play_run import Result
from clbalance.playbook.conditions import StepSubject, compile_condition, facts_of_steps

FACTS = facts_of_steps({"want", "number"}, {"kernel"})


def holds(text: str, **values: object) -> bool | str:
    """The truth of a condition; `unknown` with a reason as that reason."""
    subject = StepSubject(
        variables={"want": "yes", "number": "12"},
        registered=values.pop("registered", {}),  # type: ignore[arg-type]
        **values,  # type: ignore[arg-type]
    )
    found = compile_condition(text, FACTS, "when").holds(subject)
    return found.reason if isinstance(found, Unknown) else found


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("true", True),
        ("false", False),
        ("vars.want = yes", True),
        ('vars.want != "yes"', False),
        ("vars.number >= 3", True),
        ("attempt < 2", True),
        ("result.rc = 3 and result.out ~ '^linux'", True),
        ("kernel.out = 6.1.0", True),
        ("not kernel.rc = 0", False),
    ],
)
def test_results_variables_and_attempts_can_be_compared(text: str, truth: bool) -> None:
    last, kernel = Result(rc=3, out="linux 6\n"), Result(rc=0, out="6.1.0\n")
    assert holds(text, last=last, registered={"kernel": kernel}) is truth


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("result.rc = 0", "there is no `result` yet"),
        ("kernel.rc != 0", "there is no `kernel` yet"),
        ("r1m < 2", "the node was not asked for its load"),
        ("r1m < 2 or vars.want = no", "the node was not asked for its load"),
    ],
)
def test_what_is_not_known_is_unknown_with_its_reason(text: str, reason: str) -> None:
    assert holds(text) == reason


def test_only_conditions_on_the_load_need_a_look_at_the_node() -> None:
    assert compile_condition("r1m < 2 and vars.want = yes", FACTS, "when").needs_load
    assert not compile_condition("vars.want = yes", FACTS, "when").needs_load


@pytest.mark.parametrize("out", ['yes" or "1" = "1', "true", "r1m < 99", "{{ vars.want }}", "$(reboot)"])
def test_output_of_a_node_is_never_an_expression(out: str) -> None:
    assert holds("result.out = yes", last=Result(rc=0, out=out)) is False


@pytest.mark.parametrize("text", ["", "r1m", "vars.missing = 1", "result.out < 3 4", "import = os", "kernel.err = 1"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_condition(text, FACTS, "when")
