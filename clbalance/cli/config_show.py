"""Carry out `config show`."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from clbalance.cli.chosen_policy import policy_of
from clbalance.cli.here import here
from clbalance.cli.options import NodeOptions
from clbalance.cli.screen import Screen
from clbalance.errors import ExitCode
from clbalance.policy.rebalance.values import Levels
from clbalance.policy.thresholds import Thresholds
from clbalance.render.json_value import Json
from clbalance.render.reports.config import SettingsReport, ShownKey
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings


def show_settings(screen: Screen) -> int:
    """Every key, and below them the entries of `[[nodes]]` and `[[groups]]`."""
    settings = load_settings(os.environ, here())
    screen.show(SettingsReport((*_keys(settings), *_entries(settings))))
    return ExitCode.DONE


def _keys(settings: Settings) -> Iterator[ShownKey]:
    thresholds = Thresholds(**settings.thresholds)
    policy = policy_of(settings, thresholds, NodeOptions(), None)
    off = {True: "off"}
    values: dict[str, Json] = {"groups_conf": settings.groups_conf}
    values |= {f"ssh.{name}": value for name, value in asdict(settings.ssh).items()}
    values |= {"policy.name": settings.policy.name, "policy.max_age_s": settings.policy.max_age_s}
    values |= {"policy.suspect_after": off.get(settings.policy.suspect_after is None, settings.policy.suspect_after)}
    values |= {f"policy.weights.{name}": weight for name, weight in asdict(policy.weights).items()}
    values |= {f"thresholds.{name}": off.get(limit is None, limit) for name, limit in thresholds.bounds}
    rebalance = {**asdict(Levels()), **settings.rebalance}
    values |= {f"rebalance.{name}": off.get(value is None, value) for name, value in rebalance.items()}
    for key, origin in settings.origins.items():
        yield ShownKey(key=key, value=values[key], origin=origin)


def _entries(settings: Settings) -> Iterator[ShownKey]:
    for number, facts in enumerate(settings.nodes, start=1):
        told = {"set": facts.node_set, "cpu_factor": facts.cpu_factor, "slots": facts.slots}
        more: dict[str, Json] = {"labels": dict(facts.labels), "taints": list(facts.taints)}
        yield ShownKey(key=f"nodes[{number}]", value=_set(told | more), origin=facts.origin)
    for number, group in enumerate(settings.groups, start=1):
        value: dict[str, Json] = {"group": group.group, "policy": group.name, "weights": dict(group.weights)}
        yield ShownKey(key=f"groups[{number}]", value=_set(value), origin=group.origin)


def _set(values: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in values.items() if value not in (None, [], {})}
