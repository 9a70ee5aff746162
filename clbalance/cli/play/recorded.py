"""The playbook of a recorded run: as it was run, and as its file is now."""

import difflib
from dataclasses import replace
from typing import Final

from clbalance.cli.console import Console
from clbalance.cli.play.files import PlayText, read_playbook
from clbalance.errors import UsageError
from clbalance.model.play_run import PlayRun
from clbalance.model.playbook import Playbook
from clbalance.playbook.load import load_playbook
from clbalance.policy.play.undo import playbook_of
from clbalance.render import messages

AFRESH: Final = "begin a new run on what is left: `clbalance play {file} -w @clb:play-failed,@clb:play-notstarted`"
_MOST_DIFFERENCE: Final = 20
"""Lines."""


def recorded_playbook(run: PlayRun) -> Playbook | None:
    """The playbook as it was run; None if this version cannot read it."""
    try:
        return playbook_of(load_playbook(run.text.encode(), run.file, run.typed, name=run.playbook), run)
    except UsageError:
        return None


def text_of_run(console: Console, run: PlayRun, *, changed: bool, hint: str) -> PlayText:
    """The file as it is now. `UsageError` with `hint` if it has changed, unless that is meant."""
    text = read_playbook(run.file, run.typed)
    if text.playbook.text_hash != run.text_hash and not changed:
        console.complain(_difference(run, text))
        raise UsageError(f"{run.file} has changed since run {run.number} began", hint=hint)
    return replace(text, playbook=playbook_of(text.playbook, run))


def _difference(run: PlayRun, text: PlayText) -> str:
    lines = list(
        difflib.unified_diff(
            run.text.splitlines(), text.text.splitlines(), f"run {run.number}", "now", lineterm="", n=1
        )
    )
    shown = lines[:_MOST_DIFFERENCE]
    if len(lines) > len(shown):
        shown.append(f"... {len(lines) - len(shown)} lines more")
    return "".join(messages.note(line) for line in shown)
