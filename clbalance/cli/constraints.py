"""From what was typed to constraints, and whether the settings have what they name."""

from difflib import get_close_matches

from clbalance.cli.request_options import ConstraintOptions, ExpressionOptions
from clbalance.constraints import UNCONSTRAINED, Constraints, Preference
from clbalance.errors import UsageError
from clbalance.settings.values import Settings

PREFERENCE_WEIGHT = 4.0
"""As much as the run queue."""
_MOST_WEIGHT = 1e6


def expressions_of(options: ExpressionOptions) -> Constraints:
    """`--where` and `--order`; `ExpressionError` for what is none. What they name is for `check_names`."""
    if options.where is not None or options.order is not None:
        from clbalance.policy.expressions.parse import parse_condition, parse_keys

        if options.where is not None:
            parse_condition("--where", options.where)
        if options.order is not None:
            parse_keys("--order", options.order)
    return Constraints(where=options.where or "", order=options.order or "")


def constraints_of(options: ConstraintOptions) -> Constraints:
    """All of them; `UsageError` for what cannot be meant."""
    expressions = expressions_of(options)
    if options.order is not None and options.prefer:
        raise UsageError("`--prefer` adds to a ranking that `--order` replaces", hint="one of them")
    return Constraints(
        where=expressions.where,
        order=expressions.order,
        tolerated=frozenset(options.tolerate or ()),
        preferences=tuple(map(_preference, options.prefer or ())),
        near=_names("--near", options.near),
        apart=_names("--apart", options.apart),
        same=options.same or "",
    )


def check_names(constraints: Constraints, settings: Settings) -> None:
    """`UsageError` for a label that no `[[nodes]]` has, so that a slip does not look like a full cluster; and for
    expressions that have no sense.
    """
    if constraints == UNCONSTRAINED:
        return
    labels = frozenset(name for facts in settings.nodes for name in facts.labels)
    if constraints.where:
        from clbalance.policy.expressions.where import parse_where

        parse_where(constraints.where, labels)
    if constraints.order:
        from clbalance.policy.expressions.order import parse_order

        parse_order(constraints.order, labels)
    for preference in constraints.preferences:
        _check_label("--prefer", preference.label, labels)
    if constraints.same:
        _check_label("--same", constraints.same, labels)


def _check_label(option: str, label: str, labels: frozenset[str]) -> None:
    if label in labels:
        return
    if near := get_close_matches(label, labels, n=1, cutoff=0.6):
        hint = f"did you mean `{near[0]}`?"
    elif labels:
        hint = f"there are {', '.join(f'`{name}`' for name in sorted(labels))}"
    else:
        hint = 'labels are given in `clbalance.toml`: `[[nodes]]`, `set = "gpu[1-4]"`, `labels = { rack = "r1" }`'
    raise UsageError(f"`{option}`: no node has a label `{label}`", hint=hint)


def _preference(text: str) -> Preference:
    label, equals, rest = text.partition("=")
    value, colon, told = rest.rpartition(":")
    try:
        weight = float(told) if colon else PREFERENCE_WEIGHT
    except ValueError:
        value, colon, weight = rest, "", PREFERENCE_WEIGHT
    value = value if colon else rest
    if not (label and equals and value) or not 0 < weight <= _MOST_WEIGHT:
        raise UsageError(
            f"`--prefer` cannot be {text!r}", hint="LABEL=VALUE or LABEL=VALUE:WEIGHT, such as `rack=r1` or `rack=r1:2`"
        )
    return Preference(label=label, value=value, weight=weight)


def _names(option: str, names: list[str] | None) -> tuple[str, ...]:
    if "" in (names or ()):
        raise UsageError(f"`{option}` names no job", hint="the name of a job, as `clbalance jobs` shows it")
    return tuple(names or ())
