"""`when`, `until` and `assert`: conditions of `--where`'s language on a step's result, variables and the node's load.

What a node printed is a value here, never part of an expression. An unknown value never makes a condition true.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from clbalance.errors import ExpressionError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, Unknown
from clbalance.model.play_run import Result
from clbalance.policy.expressions.compile import Meaning
from clbalance.policy.expressions.facts import FACTS, Fact
from clbalance.policy.expressions.parse import parse_condition
from clbalance.policy.expressions.tree import ValueType
from clbalance.policy.expressions.values import Holds, Subject, Truth, devices_of

NOT_ASKED = Unknown(reason="the node was not asked for its load")


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSubject:
    """What a condition is about. `last`: the result of the last step, in `until` of the step itself."""

    variables: Mapping[str, str]
    registered: Mapping[str, Result]
    last: Result | None = None
    attempt: int = 1
    load: Measured | Unknown = NOT_ASKED
    subject: Subject | None = None
    """Of `load`, with one of its GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A compiled condition. `needs_load`: the node must be probed first."""

    text: str
    needs_load: bool
    _holds: Holds

    def holds(self, subject: StepSubject) -> Truth:
        """Whether it is true; `Unknown` if a value that decides is unknown. Of GPUs, one is enough."""
        if isinstance(subject.load, Unknown) or not self.needs_load:
            return self._holds(subject)
        truths = [self._holds(replace(subject, subject=one)) for one in devices_of(subject.load)]
        if any(one is True for one in truths):
            return True
        return next((one for one in truths if isinstance(one, Unknown)), False)


Facts = dict[str, Fact]


def facts_of_steps(variables: Collection[str], registered: Collection[str]) -> Facts:
    """The names of conditions in a playbook with these variables and registered results."""
    facts = dict(_LOAD_FACTS)
    facts["attempt"] = Fact(kind=ValueType.NUMBER, figure=lambda step: step.attempt)
    _add_result(facts, "result", lambda step: step.last)
    for name in registered:
        _add_result(facts, name, partial(_registered, name))
    for name in variables:
        facts[f"vars.{name}"] = Fact(kind=ValueType.LABEL, words=_variable(name))
    return facts


def compile_condition(text: str | bool, facts: Facts, key: str) -> Condition:
    """The condition; `ExpressionError` if it is none. `key`: where it stands, for the message."""
    if (always := str(text).lower()) in {"true", "false"}:
        return Condition(text=always, needs_load=False, _holds=lambda _: always == "true")
    if isinstance(text, bool) or not text.strip():
        raise ExpressionError(f"`{key}` is empty", text="", at=0, hint="such as `result.rc = 0`")
    meaning = Meaning(key, text, frozenset(), facts)
    holds = meaning.condition(parse_condition(key, text))
    return Condition(text=text, needs_load=any(name in _LOAD_FACTS for name in meaning.names), _holds=holds)


def is_ruled_out(condition: Condition, variables: Mapping[str, str]) -> bool:
    """Whether these variables alone make it false, whatever the nodes say."""
    return condition.holds(StepSubject(variables=variables, registered={})) is False


def _add_result(facts: Facts, name: str, read: Callable[[StepSubject], Result | None]) -> None:
    missing = Unknown(reason=f"there is no `{name}` yet")
    facts[f"{name}.rc"] = Fact(
        kind=ValueType.NUMBER, figure=lambda step: missing if (found := read(step)) is None else found.rc
    )
    facts[f"{name}.out"] = Fact(
        kind=ValueType.LABEL, words=lambda step: missing if (found := read(step)) is None else found.out.rstrip("\n")
    )


def _registered(name: str, step: StepSubject) -> Result | None:
    return step.registered.get(name)


def _variable(name: str) -> Callable[[StepSubject], str | Unknown]:
    missing = Unknown(reason=f"the variable `{name}` is not set")
    return lambda step: step.variables.get(name, missing)


def _of_load(fact: Fact) -> Fact:
    def reading(read: Callable[[Any], Any] | None) -> Callable[[StepSubject], Any] | None:
        if read is None:
            return None
        return lambda step: step.load if step.subject is None else read(step.subject)

    return replace(fact, figure=reading(fact.figure), words=reading(fact.words), whole=reading(fact.whole))


_LOAD_FACTS: Facts = {name: _of_load(fact) for name, fact in FACTS.items()}
