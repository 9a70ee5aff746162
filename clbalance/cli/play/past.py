"""Runs of before: `play --history`, `play --show`, and which run a word means."""

import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime

from clbalance.cli.console import Console
from clbalance.cli.play.recorded import recorded_playbook
from clbalance.errors import ExitCode, StoreError, UsageError
from clbalance.model.play_run import PlayRun, RunState
from clbalance.nodeset import fold
from clbalance.policy.play.outcome import play_sets
from clbalance.ports.plays import PlayHistory
from clbalance.render import messages
from clbalance.render.reports.play.history import PlayHistoryReport
from clbalance.render.reports.play.show import FileNow, PlayShow
from clbalance.store.location import state_directory, this_machine
from clbalance.store.plays.journal import SqlitePlays
from clbalance.store.state import SqliteStore

_LAST = "last"
_MOST_RUNS = 10_000


def show_history(console: Console, playbook: str | None, newest: int) -> int:
    """The newest runs. The exit code: 0."""
    if not 1 <= newest <= _MOST_RUNS:
        raise UsageError(f"`--newest` cannot be {newest}", hint=f"a number of runs, 1 to {_MOST_RUNS}")
    with ExitStack() as stack:
        runs = open_plays(stack).runs(playbook=playbook, newest=newest)
    console.show(PlayHistoryReport(runs=tuple(runs), now=datetime.now(UTC).astimezone()))
    if not runs:
        console.say(messages.note(f"no run is recorded{'' if playbook is None else f' of {playbook}'}"))
    return ExitCode.DONE


def show_run(console: Console, word: str | None, *, each_step: bool) -> int:
    """All that is known of a run. The exit code: 0."""
    with ExitStack() as stack:
        plays = open_plays(stack)
        run = named_run(plays, word)
        progress = tuple(plays.progress(run.number, output=each_step))
        if run.state is RunState.INTERRUPTED:  # nobody has written its sets
            keep_node_sets(plays, run.number, console)
        rollbacks = tuple(plays.rollbacks(run.number))
    console.show(
        PlayShow(
            run=run,
            nodes=progress,
            playbook=recorded_playbook(run),
            file_now=file_now(run),
            each_step=each_step,
            rollbacks=rollbacks,
        )
    )
    return ExitCode.DONE


def named_run(plays: PlayHistory, word: str | None) -> PlayRun:
    """The run of this number, the last one, or the last one of a playbook. `UsageError` if there is none."""
    if word is not None and word.isascii() and word.isdecimal():
        found = plays.run(int(word)) if len(word) < 19 else None
    else:
        newest = plays.runs(playbook=None if word in (None, _LAST) else word, newest=1)
        found = plays.run(newest[0].run.number) if newest else None
    if found is None:
        what = f"run `{word}`" if word not in (None, _LAST) else "run"
        raise UsageError(f"there is no {what}", hint="`clbalance play --history` shows the runs")
    return found


def file_now(run: PlayRun) -> FileNow:
    """What became of the file since."""
    import hashlib

    try:
        with open(run.file, "rb") as file:  # noqa: PTH123 - any file that has the name now, also a large one
            data = file.read(2 << 20)
    except OSError:
        return FileNow.GONE
    return FileNow.SAME if hashlib.sha256(data).hexdigest() == run.text_hash else FileNow.CHANGED


def keep_node_sets(plays: PlayHistory, number: int, console: Console) -> None:
    """Write the nodes of a run by result, for clush and others; a warning if that fails."""
    try:
        sets = play_sets(plays.progress(number, output=False))
        plays.keep_results(number, {result.value: fold(nodes) for result, nodes in sets.items()})
    except StoreError as error:
        console.say(messages.warning(error.message))


def open_plays(stack: ExitStack) -> SqlitePlays:
    """The record of runs on this host, until `stack` is closed."""
    place = state_directory(os.environ, this_machine())
    store = stack.enter_context(SqliteStore.open(place.path))
    return stack.enter_context(closing(store.plays()))
