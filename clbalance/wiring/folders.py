"""The folder of the caller, and the node sets that the state folder remembers."""

import os
from collections.abc import Iterable
from pathlib import Path

from clbalance.errors import StoreError
from clbalance.store.location import state_directory, this_machine
from clbalance.store.result_groups import SOURCE, read_groups
from clbalance.transport.group_sources import ResultGroups


def working_directory() -> Path:
    """The current folder; if it was deleted, `$PWD`."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))


def results_named_in(*named: Iterable[str] | None) -> ResultGroups | None:
    """The group source with nodes by job result, if one of these texts names it."""
    if not any(f"{SOURCE}:" in text for texts in named for text in texts or ()):
        return None
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return None  # no state folder; opening the store warns about it
    return ResultGroups(SOURCE, lambda: _or_empty(read_groups(folder)))


def _or_empty(groups: dict[str, str]) -> dict[str, str]:
    from clbalance.policy.jobs.outcome import Result
    from clbalance.policy.play.outcome import PlayNodeSet

    return {result.value: "" for result in (*Result, *PlayNodeSet)} | groups
