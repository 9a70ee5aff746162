"""Look at one node of a playbook, drain it, resume it, and wait for it."""

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from clbalance.engine.agent.protocol import encode
from clbalance.engine.drain import (
    DrainCommitted,
    DrainRequest,
    NotMarked,
    drain_message,
    drain_with_min_available,
    mark,
)
from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.services import Services
from clbalance.engine.sweep import take_snapshot
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, DrainMark, Measured, NodeName, Silent, Unknown
from clbalance.model.play_run import StepEnded, StepState
from clbalance.model.playbook import DrainNode, OnDeadline, Playbook
from clbalance.policy.allocations import binds_us
from clbalance.policy.drain_progress import BelowMinAvailable, DrainProgress, Undecided, drain_progress
from clbalance.random_hex import random_hex

_MOST_REASON: Final = 200
"""Characters of the reason of a mark; the whole mark must fit into 1 KiB."""
_OF_PLAY: Final = re.compile(r"play .+ run \d+(: |$)")
_FAILED_EARLIER: Final = re.compile(r"play .+ run \d+ failed: ")
_FIRST_LOOK_S, _LAST_LOOK_S, _SLOWER = 1.0, 15.0, 1.5


@dataclass(frozen=True, slots=True)
class NodeDrains:
    """The drains of one run. `lock`: one drain at a time is proposed, so that turns of one run do not compete."""

    services: Services
    by: str
    in_doubt: Callable[[Sequence[NodeName]], None]
    lock: threading.Lock

    def drain(self, node: NodeName, action: DrainNode, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """Mark the node, if the minimum allows it, and wait until no job runs there."""
        answer = look(self.services, node)
        if isinstance(answer, Silent):  # it was not marked
            return replace(_failed(answer.cause.because(answer.reason)), changed=False)
        before = own_mark(answer)
        if before is not None and _is_of_other_run(before, facts):
            return _refused(f"another run has drained it: {before.reason}")
        request = DrainRequest(reason=mark_reason(facts, action.reason), by=self.by)
        if before is None:
            refused = self._mark(node, request, facts)
        elif _FAILED_EARLIER.match(before.reason):
            refused = self._mark_anew(node, request)
        else:
            refused = None
        if refused is not None:
            return refused
        ended = self._await_no_jobs(node, action, stop)
        if ended.state is StepState.LEFT_OUT and before is None:
            resumed = self.resume(node, facts)
            if resumed.state is not StepState.OK:
                return replace(ended, reason=f"{ended.reason}; it could not be resumed: {resumed.reason}")
        return ended

    def resume(self, node: NodeName, facts: StepFacts, *, earlier_runs: bool = False) -> StepEnded:
        """Remove the mark of this run, or of an earlier one that failed. A mark that somebody set by hand stays.

        `earlier_runs`: also that of an earlier run of this playbook which has not failed there.
        """
        answer = look(self.services, node)
        if isinstance(answer, Silent):
            return _failed(answer.cause.because(answer.reason))
        found = own_mark(answer)
        if found is None:
            return StepEnded(state=StepState.OK, reason="no mark of ours is there", changed=False)
        is_ours = is_of_run(found, facts) or _is_left_behind(found, facts)
        if not is_ours and not (earlier_runs and _is_of_earlier_run(found, facts)):
            said = f"it stays drained: {found.reason}" if found.reason else "it stays drained"
            return StepEnded(state=StepState.OK, reason=said, changed=False)
        (marked,) = mark(self.services, [node], encode("resume", key=""))
        return StepEnded(state=StepState.OK) if marked.done else _failed(marked.message)

    def keep(self, node: NodeName, reason: str, facts: StepFacts) -> StepEnded:
        """Say in the mark why the node stays drained. A later run may take over a mark that says so.

        A mark that somebody set by hand stays as it is. Where there is none, none is set: that could break the minimum.
        """
        answer = look(self.services, node)
        if isinstance(answer, Silent):
            return _failed(answer.cause.because(answer.reason))
        found = own_mark(answer)
        if found is None:
            return _failed("it is not drained")
        if not is_of_run(found, facts) and not _FAILED_EARLIER.match(found.reason):
            return StepEnded(state=StepState.OK, reason=f"it stays drained: {found.reason}", changed=False)
        request = DrainRequest(reason=mark_reason(facts, reason, " failed"), by=self.by)
        return self._mark_anew(node, request) or StepEnded(state=StepState.OK)

    def _mark_anew(self, node: NodeName, request: DrainRequest) -> StepEnded | None:
        """None: it is marked."""
        (marked,) = mark(self.services, [node], drain_message(request))
        return None if marked.done else _failed(marked.message)

    def _mark(self, node: NodeName, request: DrainRequest, facts: StepFacts) -> StepEnded | None:
        """None: it is marked."""
        if facts.min_available is None:
            return self._mark_anew(node, request)
        with self.lock:
            end = drain_with_min_available(
                self.services, [node], facts.pool, facts.min_available, request, random_hex(), self.in_doubt
            )
        match end:
            case DrainCommitted():
                return None
            case NotMarked(marked=(marked, *_)):
                return _failed(marked.message)
            case BelowMinAvailable(left=left):
                return _refused(f"{left} of {len(facts.pool)} nodes would be left, and {facts.min_available} must be")
            case Undecided() | NotMarked():
                return _refused("other drains were not decided in time")

    def _await_no_jobs(self, node: NodeName, action: DrainNode, stop: threading.Event) -> StepEnded:
        until = None if action.deadline_s is None else time.monotonic() + action.deadline_s
        pause_s = _FIRST_LOOK_S
        while True:
            progress = drain_progress(look(self.services, node))
            if progress.is_drained:
                return StepEnded(state=StepState.OK)
            if progress.resumed:
                return _failed("somebody has resumed it")
            if until is not None and time.monotonic() >= until:
                return _at_deadline(action, progress)
            left_s = pause_s if until is None else min(pause_s, max(0.05, until - time.monotonic()))
            if stop.wait(left_s):
                return StepEnded(state=StepState.UNKNOWN, reason="stopped while it waited for jobs to end")
            pause_s = min(pause_s * _SLOWER, _LAST_LOOK_S)


def look(services: Services, node: NodeName) -> Answer:
    """A fresh answer of the node."""
    return take_snapshot(services, [node]).answers[0]


def own_mark(answer: Measured) -> DrainMark | None:
    """Our user's own drain mark that is committed; None: there is none."""
    drains = answer.reading.drains
    if isinstance(drains, Unknown):
        return None
    uid = answer.reading.uid
    return next((one for one in drains if one.proposal is None and one.uid == uid and binds_us(one, uid)), None)


def is_of_run(found: DrainMark, facts: StepFacts) -> bool:
    """Whether this run has set the mark, or the run that it rolls back."""
    runs = (facts.run,) if facts.rolls_back is None else (facts.run, facts.rolls_back)
    tags = [_tag(facts.playbook, run) for run in runs]
    return any(found.reason == tag or found.reason.startswith((f"{tag}: ", f"{tag} failed: ")) for tag in tags)


def _is_left_behind(found: DrainMark, facts: StepFacts) -> bool:
    """Whether a run of the same playbook has failed there. It comes to its resume only once the node is well."""
    return re.match(rf"play {re.escape(_short(facts.playbook))} run \d+ failed: ", found.reason) is not None


def _is_of_earlier_run(found: DrainMark, facts: StepFacts) -> bool:
    """Whether another run of this playbook has set the mark, and has not failed there."""
    return re.match(rf"play {re.escape(_short(facts.playbook))} run \d+(: |$)", found.reason) is not None


def _is_of_other_run(found: DrainMark, facts: StepFacts) -> bool:
    """Whether a run that may still be on its way has set the mark."""
    is_of_play = _OF_PLAY.match(found.reason) is not None and not _FAILED_EARLIER.match(found.reason)
    return is_of_play and not is_of_run(found, facts)


def mark_reason(facts: StepFacts, reason: str, how: str = "") -> str:
    """The reason of a mark, which names the playbook and its run."""
    shown = "".join(one if one.isprintable() else " " for one in reason)
    tag = _tag(facts.playbook, facts.run)
    text = f"{tag}{how}: {shown}" if shown.strip() or how else tag
    return text if len(text) <= _MOST_REASON else f"{text[: _MOST_REASON - 1]}…"


def _tag(playbook: Playbook, run: int) -> str:
    return f"play {_short(playbook)} run {run}"


def _short(playbook: Playbook) -> str:
    return "".join(one if one.isprintable() else " " for one in playbook.name)[:60]


def left_there(progress: DrainProgress) -> str:
    """What keeps a node from being drained."""
    if progress.reason:
        return progress.reason
    count = len(progress.own) + len(progress.others)
    return f"{count} job{'' if count == 1 else 's'} still run{'s' if count == 1 else ''} there"


def _at_deadline(action: DrainNode, progress: DrainProgress) -> StepEnded:
    said = f"after {action.deadline_s:g} s: {left_there(progress)}"
    match action.on_deadline:
        case OnDeadline.FAIL:
            return _failed(said)
        case OnDeadline.SKIP:
            return StepEnded(state=StepState.LEFT_OUT, reason=said)
        case OnDeadline.FORCE:
            return StepEnded(state=StepState.OK, reason=f"it goes on {said}")


def _failed(reason: str) -> StepEnded:
    return StepEnded(state=StepState.FAILED, reason=reason)


def _refused(reason: str) -> StepEnded:
    return StepEnded(state=StepState.REFUSED, reason=reason, changed=False)
