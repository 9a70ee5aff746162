"""The policies that were chosen (docs/design/auto.md), for settings that say `auto`."""

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final

from clbalance.errors import StoreError
from clbalance.policy.backtest.values import FIELDS, Choice, Subject
from clbalance.policy.queue.queues import JobQueue, job_queue_named
from clbalance.settings.keys import AUTO
from clbalance.settings.values import Settings
from clbalance.store.location import state_directory, this_machine

_READ_AGAIN_S: Final = 60.0


def subjects_of(settings: Settings) -> tuple[Subject, ...]:
    """What the settings leave to be chosen."""
    placements = {settings.policy.name, *(group.name for group in settings.groups)}
    queue: tuple[Subject, ...] = ("queue",) if settings.policy.queue == AUTO else ()
    return (*queue, "placement") if AUTO in placements else queue


def policy_in_use(subject: Subject) -> str:
    """The policy that was chosen last, or the default."""
    choice = last_choice(subject)
    return FIELDS[subject].default if choice is None else choice.policy


def queue_in_use(settings: Settings) -> JobQueue:
    """The order of the waiting list."""
    return job_queue_named(queue_name(settings))


def queue_name(settings: Settings) -> str:
    """The name of that order."""
    name = settings.policy.queue
    return policy_in_use("queue") if name == AUTO else name


def last_choice(subject: Subject) -> Choice | None:
    """The last choice; None if there is none, or no state database, of which others warn."""
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return None
    return _choices_in(folder, int(time.monotonic() // _READ_AGAIN_S)).get(subject)


@lru_cache(maxsize=1)
def _choices_in(folder: Path, _: int) -> Mapping[Subject, Choice]:
    """Read once for all jobs of a call, also in vain: a locked database is waited for once. The last argument makes a
    process that lives long read it again.
    """
    from clbalance.policy.backtest.written import choice_of
    from clbalance.store.state import SqliteStore

    try:
        with SqliteStore.open(folder) as store:
            kept = {subject: choice_of(store.choice(subject)) for subject in FIELDS}
    except StoreError:
        return {}
    return {subject: choice for subject, choice in kept.items() if choice is not None}


def fixed_policies(settings: Settings) -> dict[Subject, str]:
    """The policies that the settings name."""
    named: dict[Subject, str] = {"queue": settings.policy.queue, "placement": settings.policy.name}
    return {subject: name for subject, name in named.items() if name != AUTO}


def choices_in_use(settings: Settings) -> tuple[Choice, ...]:
    """The last choices of what the settings leave to be chosen."""
    return tuple(choice for subject in subjects_of(settings) if (choice := last_choice(subject)) is not None)
