"""The state folder of a released program is shown by this one just as that one showed it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.store.earlier import make_earlier_state

from .command import Command

SHOWN = json.loads((Path(__file__).parents[1] / "store" / "data" / "shown.json").read_text())
OF_NOW = {"reason", "seconds", "user"}
"""What depends on who asks, when, and whether the nodes answer."""


@pytest.fixture
def earlier(alone: Command, tmp_path: Path) -> Command:
    """`clbalance` with that state, and with nodes none of which is reached."""
    state = make_earlier_state(tmp_path / "earlier")
    env = {"CLBALANCE_STATE_DIR": str(state), "CLBALANCE_SSH_OPTIONS": "-o Hostname=127.0.0.1 -o Port=1"}
    return Command(env={**alone.env, **env}, folder=alone.folder)


def shown(earlier: Command, *words: str) -> Any:
    return json.loads(earlier(*words, "--json").text)


def without(value: Any, keys: set[str]) -> Any:
    match value:
        case dict():
            return {key: without(part, keys) for key, part in value.items() if key not in keys}
        case list():
            return [without(part, keys) for part in value]
        case _:
            return value


def same(now: Any, before: Any) -> bool:
    """Whether all that was shown is shown, under the same keys; there may be more."""
    match now, before:
        case dict(), dict():
            return all(key in now and same(now[key], value) for key, value in before.items())
        case list(), list():
            return len(now) == len(before) and all(map(same, now, before))
        case _:
            return type(now) is type(before) and now == before


def test_all_jobs_are_shown_as_before(earlier: Command) -> None:
    now, before = shown(earlier, "jobs", "--ended")["jobs"], SHOWN["jobs --all"]["jobs"]
    assert [(one["id"], one["name"], one["state"]) for one in now] == [
        (one["id"], one["name"], one["state"]) for one in before
    ]
    for one, other in zip(now, before, strict=True):
        was_over = other["ended_before"]
        left_out = {"user"} if was_over else OF_NOW
        assert same(without(one, left_out), without(other, left_out | {"ended_before"})), one


@pytest.mark.parametrize("words", [words for words in SHOWN if words.startswith("explain")])
def test_how_nodes_were_chosen_is_explained_as_before(earlier: Command, words: str) -> None:
    assert same(shown(earlier, *words.split()), SHOWN[words])


def test_tasks_are_shown_as_before(earlier: Command) -> None:
    assert same(shown(earlier, "jobs", "14", "--tasks"), SHOWN["jobs 14 --tasks"])
