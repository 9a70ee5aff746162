"""Carry out the daily choice of `rebalance --apply`, for settings that say `auto` (docs/design/auto.md)."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from clbalance.cli.balance.recorded import recorded_history
from clbalance.cli.cluster import open_store
from clbalance.cli.console import Console
from clbalance.engine.backtest.daily_choice import ChoiceInputs, choose_daily
from clbalance.errors import StoreError
from clbalance.model import Snapshot
from clbalance.policy.backtest.values import Subject
from clbalance.render import messages
from clbalance.render.reports.balance.choices import choice_line
from clbalance.settings.values import Settings
from clbalance.store.single_flight import try_lock
from clbalance.trace.nodes import emptied
from clbalance.wiring.chosen import fixed_policies, subjects_of

_SEED = 1


def choose_if_due(settings: Settings, snapshot: Snapshot, state: Path, console: Console) -> None:
    """Choose what the settings leave to be chosen, if today's choice is not done. `snapshot`: the nodes, as swept.

    Not on a terminal, where somebody waits, and not while another process does it.
    """
    subjects = subjects_of(settings)
    if not subjects or console.outlets.stdout.terminal or console.outlets.stderr.terminal:
        return
    try:
        with try_lock(state / "choose.lock") as is_ours:
            if is_ours:
                _choose(subjects, settings, snapshot, console)
    except StoreError as error:  # what had to be done for jobs is done
        console.say(messages.warning(f"no policy was chosen: {error.message}"))


def _choose(subjects: Sequence[Subject], settings: Settings, snapshot: Snapshot, console: Console) -> None:
    with open_store(console, needed=True) as (store, journal):
        inputs = ChoiceInputs(
            subjects=subjects,
            fixed=fixed_policies(settings),
            history_until=lambda until: recorded_history(store, journal, emptied(snapshot), until),
            rng=lambda: Random(_SEED),
            cpu_s=time.process_time,
        )
        for choice in choose_daily(store, inputs, datetime.now(UTC)):
            console.say(messages.note(choice_line(choice)))
