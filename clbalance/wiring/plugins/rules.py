"""Filters and scorers of installed packages: loaded when they are first called, their errors contained and named."""

import math
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from clbalance.errors import SettingsError
from clbalance.model import Measured, Request, Unknown
from clbalance.policy.site.rules import SiteFilter, SiteRules, SiteScorer
from clbalance.policy.site.view import node_view, request_view
from clbalance.probe.frame import words_of
from clbalance.settings.values import EntryPoints
from clbalance.wiring.plugins.entry_points import contained, loaded, plugin_name

_Result = TypeVar("_Result")


def site_rules(named: EntryPoints, warn: Callable[[str], None]) -> SiteRules:
    """The named filters and scorers. `warn` is told of the first failure of each."""
    return SiteRules(
        filters=tuple(SiteFilter(name, _Rule("filters", name, reason_of, warn)) for name in named.filters),
        scorers=tuple(
            SiteScorer(name, _Rule("scorers", name, points_of, warn), weight) for name, weight in named.scorers.items()
        ),
    )


class _Rule(Generic[_Result]):
    """A function of a plug-in that never raises."""

    def __init__(self, kind: str, name: str, result_of: Callable[[Any], _Result], warn: Callable[[str], None]) -> None:
        self._kind = kind
        self._name = name
        self._result_of = result_of
        self._warn = warn
        self._function: Any = None
        self._broken: SettingsError | None = None
        """Why it could not be loaded."""

    def __call__(self, answer: Measured, request: Request) -> _Result | Unknown:
        try:
            function = self._loaded()
            with contained(self._kind, self._name):
                return self._result_of(function(node_view(answer), request_view(request)))
        except SettingsError as error:
            return self._failed(error)

    def _loaded(self) -> Any:
        if self._broken is not None:
            raise self._broken
        if self._function is None:
            try:
                self._function = loaded(self._kind, self._name)
            except SettingsError as error:
                self._broken = error
                raise
        return self._function

    def _failed(self, error: SettingsError) -> Unknown:
        self._warn(f"{error.message}; {error.hint}")
        self._warn = _say_nothing
        return Unknown(reason=error.message.removeprefix(f"{plugin_name(self._kind, self._name)} "))


def _say_nothing(_: str) -> None:
    """For every failure after the first."""


def reason_of(result: object) -> str | None:
    """What a filter returned; `TypeError` if it is neither None nor a text."""
    if result is None:
        return None
    if not isinstance(result, str):
        raise TypeError(f"it returned a {type(result).__name__}, and must return a text or None")
    return words_of(result) or "no reason given"


def points_of(result: object) -> float:
    """What a scorer returned; `ValueError` if it is not from 0 to 100."""
    if isinstance(result, bool) or not isinstance(result, int | float):
        raise TypeError(f"it returned a {type(result).__name__}, and must return a number")
    if not math.isfinite(result) or not 0.0 <= result <= 100.0:
        raise ValueError(f"it returned {result:g}, which is not from 0 to 100")
    return float(result)
