"""Steps that wait: `wait_for`, `reboot`, and the check of a node's health."""

import threading
import time
from dataclasses import replace
from typing import Final

from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.conditions import load_of, unmet
from clbalance.engine.play.steps.nodes import left_there, look, own_mark
from clbalance.engine.play.steps.programs import NotRun, NotTold, remote_program, run_on_node, why
from clbalance.engine.services import Services
from clbalance.model import Measured, NodeName, Silent, Unknown
from clbalance.model.play_run import Result, StepEnded, StepState
from clbalance.model.playbook import CheckHealth, DrainNode, Program, Reboot, ShellText, Step, WaitFor
from clbalance.policy.drain_progress import drain_progress

_REBOOT_LOOK_S: Final = 2.0
_SHORTEST_S: Final = 5.0
"""Of a program that is begun just before the deadline."""
_BY_SIGNAL: Final = 128
_PASSES: Final = 0
_FAILS: Final = frozenset({1, 2})
_LISTENS = """\
p=$(printf ':%04X' @PORT@)
for f in /proc/net/tcp /proc/net/tcp6; do
  [ -r "$f" ] || continue
  while read -r number local remote state rest; do
    case $local in *"$p") [ "$state" = 0A ] && exit 0 ;; esac
  done <"$f"
done
exit 1
"""
"""0A is the kernel's number for LISTEN (include/net/tcp_states.h)."""


class Waits:
    """Waiting steps of one run."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def wait_for(
        self, node: NodeName, step: Step, action: WaitFor, facts: StepFacts, stop: threading.Event
    ) -> StepEnded:
        """Until all that is named holds at the same time."""
        until = time.monotonic() + action.within_s
        while True:
            missing = self._missing(node, _limited(step, until), action, facts, stop)
            if not missing:
                return StepEnded(state=StepState.OK)
            if stop.is_set():
                return StepEnded(state=StepState.UNKNOWN, reason="stopped while it waited")
            if time.monotonic() + action.every_s > until:
                return StepEnded(state=StepState.FAILED, reason=f"after {action.within_s:g} s: {missing}")
            stop.wait(action.every_s)

    def _missing(self, node: NodeName, step: Step, action: WaitFor, facts: StepFacts, stop: threading.Event) -> str:
        """What does not hold yet; empty: all holds."""
        if action.port is not None:
            text = ShellText(text=_LISTENS.replace("@PORT@", str(action.port)))
            if failed := self._fails(node, replace(step, sudo=False), text, facts, stop):
                return failed if failed != "exit code 1" else f"nothing listens on port {action.port}"
        if action.program is not None and (failed := self._fails(node, step, action.program, facts, stop)):
            return failed
        if action.where is None and not action.no_jobs:
            return ""
        answer = look(self._services, node)
        if isinstance(answer, Silent):
            return answer.cause.because(answer.reason)
        if action.no_jobs and not (progress := replace(drain_progress(answer), resumed=False)).is_drained:
            return left_there(progress)
        return "" if action.where is None else unmet(action.where, "where", facts, load_of(answer))

    def _fails(self, node: NodeName, step: Step, program: Program, facts: StepFacts, stop: threading.Event) -> str:
        match self._run(node, step, program, facts, stop):
            case NotRun(reason=reason) | NotTold(reason=reason):
                return reason
            case Result(rc=0):
                return ""
            case Result() as result:
                return why(result, step)

    def _run(
        self, node: NodeName, step: Step, program: Program, facts: StepFacts, stop: threading.Event
    ) -> Result | NotRun | NotTold:
        remote = remote_program(program, node, step, facts)
        services = self._services
        return run_on_node(services.transport, node, remote, stop, within_s=services.answer_within_s)

    # -- reboot

    def reboot(self, node: NodeName, step: Step, action: Reboot, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """Look once more, reboot, and wait for another boot_id."""
        before = look(self._services, node)
        if isinstance(before, Silent):
            return _failed(before.cause.because(before.reason))
        boot_id = before.reading.boot_id
        if isinstance(boot_id, Unknown):
            return _failed(f"not rebooted: {boot_id.reason}, so nobody could tell when it is back")
        if reason := _obstacle(before, action, facts) or ("stopped before it" if stop.is_set() else ""):
            return _failed(f"not rebooted: {reason}")
        began = time.monotonic()
        match self._run(node, _limited(step, began + action.within_s), action.program, facts, stop):
            case NotRun(reason=reason):
                return _failed(f"not rebooted: {reason}")
            case Result(rc=rc) as result if 0 < rc < _BY_SIGNAL:  # a reboot ends its own program too
                return replace(_failed(why(result, step)), result=result)
            case _:
                return self._await_boot(node, boot_id, action, began, stop)

    def _await_boot(
        self, node: NodeName, boot_id: str, action: Reboot, began: float, stop: threading.Event
    ) -> StepEnded:
        while True:
            if stop.wait(_REBOOT_LOOK_S):
                return StepEnded(state=StepState.UNKNOWN, reason="stopped while it rebooted")
            answer = look(self._services, node)
            took_s = time.monotonic() - began
            match answer:
                case Silent(cause=cause, reason=reason):
                    said = cause.because(reason)
                case Measured(reading=reading):
                    if not isinstance(reading.boot_id, Unknown) and reading.boot_id != boot_id:
                        return StepEnded(state=StepState.OK, reason=f"back after {took_s:.0f} s")
                    said = "it answers as before: the same boot_id"
            if took_s > action.within_s:
                return _failed(f"not back after {took_s:.0f} s: {said}")

    # -- health

    def health(
        self, node: NodeName, step: Step, action: CheckHealth, facts: StepFacts, stop: threading.Event
    ) -> StepEnded:
        """Healthy after `passes` in a row, sick after `fails` in a row; unknown results change nothing."""
        until = time.monotonic() + action.within_s
        passed = failed = 0
        said = "it has not answered"
        result: Result | None = None
        while True:
            ran = self._run(node, _limited(step, until), action.program, facts, stop)
            if isinstance(ran, NotRun | NotTold):
                said = f"unknown: {ran.reason}"
            else:
                result = ran
                passed, failed = _counted(ran.rc, passed, failed)
                said = "it passes" if ran.rc == _PASSES else why(ran, step)
            if passed >= action.passes:
                return StepEnded(state=StepState.OK, result=result, changed=False)
            if failed >= action.fails:
                return StepEnded(state=StepState.FAILED, reason=f"sick: {said}", result=result, changed=False)
            is_late = time.monotonic() + action.every_s > until
            if is_late or stop.wait(action.every_s):
                state = StepState.FAILED if failed and is_late else StepState.UNKNOWN
                when = f"after {action.within_s:g} s" if is_late else "stopped"
                return StepEnded(state=state, reason=f"{when}: {said}", result=result, changed=False)


def _limited(step: Step, until: float) -> Step:
    """The step, whose program ends by then."""
    left_s = max(_SHORTEST_S, until - time.monotonic())
    return replace(step, timeout_s=left_s if step.timeout_s is None else min(left_s, step.timeout_s))


def _counted(rc: int, passed: int, failed: int) -> tuple[int, int]:
    """How often in a row it has passed and failed. Other codes than Nagios' three first ones change nothing."""
    if rc == _PASSES:
        return passed + 1, 0
    return (0, failed + 1) if rc in _FAILS else (passed, failed)


def _obstacle(answer: Measured, action: Reboot, facts: StepFacts) -> str:
    """Why the node must not be rebooted now; empty: it may be."""
    progress = drain_progress(answer)
    if any(isinstance(step.action, DrainNode) for step in facts.playbook.steps) and own_mark(answer) is None:
        return "its drain mark has gone"
    if not action.even_with_jobs and not replace(progress, resumed=False).is_drained:
        return left_there(progress)
    return ""


def _failed(reason: str) -> StepEnded:
    return StepEnded(state=StepState.FAILED, reason=reason)
