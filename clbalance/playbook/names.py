"""Names in a playbook: variables, results of steps, steps. Where they are used and were never given, that is told."""

import re
from collections.abc import Mapping, Sequence

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.playbook.conditions import Facts, facts_of_steps
from clbalance.playbook.document import Document
from clbalance.playbook.forms import StepForm
from clbalance.playbook.problems import Problem, near

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
TEMPLATE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
WHOLE_VARIABLE = re.compile(r"\{\{\s*vars\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")

RESERVED = frozenset({"result", "attempt", "vars"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The variables, the registered results, and the names of conditions that follow from both."""

    variables: Mapping[str, str]
    missing: frozenset[str]
    """Variables without a value: they must be given with `-e`, and were not."""
    registered: frozenset[str]
    facts: Facts

    @classmethod
    def of(cls, steps: Sequence[StepForm | None], variables: Mapping[str, str], missing: frozenset[str]) -> "Names":
        registered = frozenset(
            step.register for step in steps if step is not None and step.register and NAME.fullmatch(step.register)
        )
        facts = facts_of_steps(variables, registered)
        return cls(variables=variables, missing=missing, registered=registered, facts=facts)


def variables_of(
    document: Document, typed: Mapping[str, str] | None, problems: list[Problem]
) -> tuple[dict[str, str], frozenset[str]]:
    """Variables of `vars:` as they were typed, and those of `-e` over them; and the names of those without a value.

    These are told as problems, unless `typed` is None.
    """
    given = document.values.get("vars")
    declared: dict[str, str] = {}
    without = set()
    for name, value in given.items() if isinstance(given, dict) else ():
        path = ("vars", name)
        if not NAME.fullmatch(name):
            problems.append(
                document.problem(
                    path, f"`{name[:60]}` is no name of a variable", "letters, digits and `_`", at_key=True
                )
            )
        elif isinstance(value, dict | list):
            problems.append(
                document.problem(path, "a variable is one value, not a list or a table", "quote it as text")
            )
        elif value is None:
            declared[name] = ""
            without.add(name)
        else:
            declared[name] = document.raw[path]
    typed_by_name = {} if typed is None else dict(typed)
    for name in typed_by_name:
        if name not in declared:
            message = f"`-e {name}=…`: this playbook has no variable `{name}`"
            raise UsageError(message, hint=near(name, list(declared), "its variables") if declared else "it has none")
    missing = frozenset(without - typed_by_name.keys())
    if typed is not None:
        problems.extend(
            document.problem(("vars", name), "it has no value, and must be given", f"`-e {name}=VALUE`", at_key=True)
            for name in sorted(missing)
        )
    return declared | typed_by_name, missing


def parse_variables(words: Sequence[str]) -> dict[str, str]:
    """The variables of `-e NAME=VALUE`; `UsageError` for a word that is none."""
    typed: dict[str, str] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not NAME.fullmatch(name):
            raise UsageError(f"`-e` cannot be {word!r}", hint="`-e NAME=VALUE`; once for each variable")
        if "\0" in value:
            raise UsageError(f"`-e {name}`: the value holds a NUL byte")
        typed[name] = value
    return typed
