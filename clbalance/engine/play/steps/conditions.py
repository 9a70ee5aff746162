"""Conditions of steps: what they are about, and whether they are true."""

from functools import lru_cache

from clbalance.engine.play.step_runner import StepFacts
from clbalance.model import Answer, Measured, Silent, Unknown
from clbalance.model.play_run import Result
from clbalance.model.playbook import Playbook
from clbalance.playbook.conditions import NOT_ASKED, Condition, Facts, StepSubject, compile_condition, facts_of_steps


def needs_load(text: str, key: str, playbook: Playbook) -> bool:
    """Whether the node must be probed before the condition can be true."""
    return _compiled(text, key, *_names(playbook)).needs_load


def unmet(
    text: str, key: str, facts: StepFacts, load: Measured | Unknown = NOT_ASKED, last: Result | None = None
) -> str:
    """Why the condition is not true; empty: it is. `last`: in place of the last step's result."""
    subject = StepSubject(
        variables=facts.playbook.variables,
        registered=facts.registered,
        last=last or facts.last,
        attempt=facts.attempt,
        load=load,
    )
    truth = _compiled(text, key, *_names(facts.playbook)).holds(subject)
    if isinstance(truth, Unknown):
        return f"unknown whether {text}: {truth.reason}"
    return "" if truth else f"not {text}"


def is_false(text: str, key: str, facts: StepFacts) -> bool:
    """Whether the condition is known to be false, without asking the node."""
    subject = StepSubject(variables=facts.playbook.variables, registered=facts.registered, last=facts.last)
    return _compiled(text, key, *_names(facts.playbook)).holds(subject) is False


def load_of(answer: Answer) -> Measured | Unknown:
    """The node's load; unknown if it is silent."""
    return Unknown(reason=answer.cause.because(answer.reason)) if isinstance(answer, Silent) else answer


def _names(playbook: Playbook) -> tuple[frozenset[str], frozenset[str]]:
    steps = (*playbook.steps, *playbook.rollback)
    return frozenset(playbook.variables), frozenset(step.register for step in steps if step.register)


@lru_cache(maxsize=1024)
def _compiled(text: str, key: str, variables: frozenset[str], registered: frozenset[str]) -> Condition:
    return compile_condition(text, _facts(variables, registered), key)


@lru_cache(maxsize=8)
def _facts(variables: frozenset[str], registered: frozenset[str]) -> Facts:
    return facts_of_steps(variables, registered)
