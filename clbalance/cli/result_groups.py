"""What became of jobs as a group source: where it lies, and for node sets that speak of it."""

import os
from pathlib import Path

from clbalance.cli.options import NodeOptions
from clbalance.errors import StoreError
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import FILE, SOURCE, read_groups
from clbalance.transport.group_sources import ResultGroups


def result_groups(nodes: NodeOptions) -> ResultGroups | None:
    """The source, if any of these options names it."""
    named = (nodes.nodes, nodes.groups, nodes.exclude, nodes.exclude_groups)
    if not any(f"{SOURCE}:" in text for texts in named for text in texts or ()):
        return None
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return None  # without memory; said by who opens it
    return ResultGroups(SOURCE, lambda: _or_empty(read_groups(folder)))


def result_file() -> Path:
    """Where the sets lie; raises `StoreError` where no state can be kept."""
    return state_directory(os.environ, this_machine()).path / FILE


def _or_empty(groups: dict[str, str]) -> dict[str, str]:
    from clbalance.policy.results import Result

    return {result.value: "" for result in Result} | groups
