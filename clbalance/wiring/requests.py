"""Turn what was asked for, by options or by arguments, into the parts of a request: resources and constraints.

Errors name options of the command line; an argument of the library has the name of its option.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.request import UNCONSTRAINED, Constraints, Preference
from clbalance.near_words import did_you_mean
from clbalance.settings.values import Settings
from clbalance.units import parse_size
from clbalance.wiring.plugins.wanted import external_indices_of


class AskedResources(Protocol):
    """The resources of each copy, as typed."""

    @property
    def cpus(self) -> float | None: ...
    @property
    def mem(self) -> str | None: ...
    @property
    def tmp(self) -> str | None: ...
    @property
    def gpus(self) -> int: ...
    @property
    def gpu_share(self) -> float | None: ...
    @property
    def gpu_mem(self) -> str | None: ...
    @property
    def slots(self) -> int: ...
    @property
    def exclusive(self) -> bool: ...
    @property
    def limit_cpus(self) -> float | None: ...
    @property
    def limit_mem(self) -> str | None: ...


class AskedExpressions(Protocol):
    """Expressions over what is measured, as typed."""

    @property
    def where(self) -> str | None: ...
    @property
    def order(self) -> str | None: ...


class AskedConstraints(AskedExpressions, Protocol):
    """All constraints on nodes, as typed."""

    @property
    def tolerate(self) -> Sequence[str] | None: ...
    @property
    def force(self) -> bool: ...
    @property
    def prefer(self) -> Sequence[str] | None: ...
    @property
    def near(self) -> Sequence[str] | None: ...
    @property
    def apart(self) -> Sequence[str] | None: ...
    @property
    def same(self) -> str | None: ...
    @property
    def ask_all(self) -> bool: ...


_MOST = 100_000  # GPUs, slots or cpus of one node


def parse_pick(text: str) -> int | None:
    """`--pick`: a number above 0, or None for `all`."""
    if text == "all":
        return None
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) == 0:
        raise UsageError(f"`--pick` cannot be {text!r}", hint="a number of nodes, 1 or more, or `all`")
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The resources of one copy, checked, in base units."""

    cpus: float | None
    """None: not typed."""
    mem_bytes: int
    tmp_bytes: int
    gpus: int
    gpu_share: float
    gpu_mem_bytes: int
    slots: int
    exclusive: bool
    limit_cpus: float | None
    limit_mem_bytes: int | None


def resources_of(options: AskedResources) -> Resources:
    """The resources that were asked for; `UsageError` for a value that is not possible."""
    if not 0 <= options.gpus <= _MOST:
        raise UsageError(f"`--gpus` cannot be {options.gpus}", hint="0, or a number of GPUs")
    if not 0 <= options.slots <= _MOST:
        raise UsageError(f"`--slots` cannot be {options.slots}", hint="0, or a number of slots")
    return Resources(
        cpus=_cpus(options.cpus, options.limit_cpus),
        mem_bytes=_mem_bytes(options.mem, options.limit_mem),
        tmp_bytes=0 if options.tmp is None else _size("--tmp", options.tmp),
        gpus=options.gpus if options.gpu_share is None else 1,
        gpu_share=1.0 if options.gpu_share is None else _gpu_share(options.gpu_share, options.gpus),
        gpu_mem_bytes=0 if options.gpu_mem is None else _gpu_mem_bytes(options),
        slots=options.slots,
        exclusive=options.exclusive,
        limit_cpus=options.limit_cpus,
        limit_mem_bytes=None if options.limit_mem is None else _size("--limit-mem", options.limit_mem),
    )


def _gpu_share(share: float, gpus: int) -> float:
    if not 0 < share < 1:
        raise UsageError(f"`--gpu-share` cannot be {share:g}", hint="above 0 and below 1; a whole one is `--gpus 1`")
    if gpus:
        raise UsageError("`--gpu-share` and `--gpus` exclude each other", hint="a part of one GPU, or whole ones")
    return share


def _gpu_mem_bytes(options: AskedResources) -> int:
    if not options.gpus and options.gpu_share is None:
        raise UsageError("`--gpu-mem` needs `--gpus` or `--gpu-share`", hint="add `--gpus 1`")
    return _size("--gpu-mem", options.gpu_mem or "")


def _cpus(asked: float | None, limit: float | None) -> float | None:
    """A limit without a request is also the request, as in Kubernetes. None for neither."""
    if limit is not None and not 0 < limit <= _MOST:
        raise UsageError(f"`--limit-cpus` cannot be {limit:g}", hint="a number of cpus above 0, such as 2 or 0.5")
    if asked is None:
        return limit
    if not 0 <= asked <= _MOST:
        raise UsageError(f"`--cpus` cannot be {asked:g}", hint="0, or a number of cpus such as 2 or 0.5")
    if limit is not None and asked > limit:
        raise UsageError(
            f"`--cpus {asked:g}` is more than `--limit-cpus {limit:g}`", hint="raise the limit, or request less"
        )
    return asked


def _mem_bytes(asked: str | None, limit: str | None) -> int:
    limit_bytes = None if limit is None else _size("--limit-mem", limit)
    if limit_bytes == 0:
        raise UsageError(f"`--limit-mem` cannot be {limit!r}", hint="a size above 0, such as 20G")
    if asked is None:
        return limit_bytes or 0
    size = _size("--mem", asked)
    if limit_bytes is not None and size > limit_bytes:
        raise UsageError(f"`--mem {asked}` is more than `--limit-mem {limit}`", hint="raise the limit, or request less")
    return size


def _size(option: str, text: str) -> int:
    try:
        return parse_size(text)
    except UsageError as error:
        raise UsageError(f"`{option}` cannot be {text!r}", hint=error.hint) from error


# Constraints, and whether the settings have the labels that they name.

PREFERENCE_WEIGHT = 4.0
"""As much as the weight of the run queue."""
_MOST_WEIGHT = 1e6


def expressions_of(options: AskedExpressions) -> Constraints:
    """`--where` and `--order`; `ExpressionError` for wrong syntax. `check_names` checks the names in them."""
    if options.where is not None or options.order is not None:
        from clbalance.policy.expressions.parse import parse_condition, parse_keys

        if options.where is not None:
            parse_condition("--where", options.where)
        if options.order is not None:
            parse_keys("--order", options.order)
    return Constraints(where=options.where or "", order=options.order or "")


def constraints_of(options: AskedConstraints) -> Constraints:
    """All constraints; `UsageError` for options that exclude each other or have a wrong value."""
    expressions = expressions_of(options)
    if options.order is not None and options.prefer:
        raise UsageError("`--prefer` has no effect with `--order`, which replaces the scores", hint="one of them")
    return Constraints(
        where=expressions.where,
        order=expressions.order,
        tolerated=frozenset(options.tolerate or ()),
        force=options.force,
        preferences=tuple(map(_preference, options.prefer or ())),
        near=_names("--near", options.near),
        apart=_names("--apart", options.apart),
        same=options.same or "",
        ask_all=options.ask_all,
    )


def check_names(constraints: Constraints, settings: Settings) -> None:
    """Raises `UsageError` for a label that no `[[nodes]]` has, so that a typing error does not look like a full
    cluster, and `ExpressionError` for expressions with unknown names or wrong types.
    """
    if constraints == UNCONSTRAINED:
        return
    labels = frozenset(name for facts in settings.nodes for name in facts.labels)
    if constraints.where:
        from clbalance.policy.expressions.where import parse_where

        parse_where(constraints.where, labels, external_indices_of(settings))
    if constraints.order:
        from clbalance.policy.expressions.where import parse_order

        parse_order(constraints.order, labels, external_indices_of(settings))
    for preference in constraints.preferences:
        _check_label("--prefer", preference.label, labels)
    if constraints.same:
        _check_label("--same", constraints.same, labels)


def _check_label(option: str, label: str, labels: frozenset[str]) -> None:
    if label in labels:
        return
    if labels:
        hint = did_you_mean(label, labels, f"there are {', '.join(f'`{name}`' for name in sorted(labels))}")
    else:
        hint = 'labels are given in `clbalance.toml`: `[[nodes]]`, `set = "gpu[1-4]"`, `labels = { rack = "r1" }`'
    raise UsageError(f"`{option}`: no node has a label `{label}`", hint=hint)


def _preference(text: str) -> Preference:
    label, equals, rest = text.partition("=")
    value, colon, reported = rest.rpartition(":")
    try:
        weight = float(reported) if colon else PREFERENCE_WEIGHT
    except ValueError:
        value, colon, weight = rest, "", PREFERENCE_WEIGHT
    value = value if colon else rest
    if not (label and equals and value) or not 0 < weight <= _MOST_WEIGHT:
        raise UsageError(
            f"`--prefer` cannot be {text!r}", hint="LABEL=VALUE or LABEL=VALUE:WEIGHT, such as `rack=r1` or `rack=r1:2`"
        )
    return Preference(label=label, value=value, weight=weight)


def _names(option: str, names: Sequence[str] | None) -> tuple[str, ...]:
    if "" in (names or ()):
        raise UsageError(f"`{option}` names no job", hint="the name of a job, as `clbalance jobs` shows it")
    return tuple(names or ())
