"""Carries out one step on one node: `StepRunner` over ssh."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import assert_never

from clbalance.engine.files.transfers import Transfers
from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.conditions import is_false, load_of, needs_load, unmet
from clbalance.engine.play.steps.files import copy_step, fetch_step
from clbalance.engine.play.steps.local import notify, run_here
from clbalance.engine.play.steps.nodes import NodeDrains, look
from clbalance.engine.play.steps.output_files import with_output_file
from clbalance.engine.play.steps.programs import ended_by, remote_program, run_on_node
from clbalance.engine.play.steps.waits import Waits
from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Measured, NodeName, Unknown
from clbalance.model.play_run import Result, StepEnded, StepState
from clbalance.model.playbook import (
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    FetchFiles,
    Notify,
    Pause,
    Rebalance,
    Reboot,
    ResumeNode,
    RunProgram,
    Step,
    WaitFor,
)
from clbalance.playbook.conditions import NOT_ASKED
from clbalance.policy.play.describe import describe
from clbalance.ports import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSteps:
    """`StepRunner` for the nodes of a cluster. Its calls work in any thread.

    `services`: with a store and a listener that work in any thread. `folder`: of the playbook. `rebalance`: carries out
    `clbalance rebalance --apply` over the nodes of the run.
    """

    services: Services
    drains: NodeDrains
    transfers_over: Callable[[Transport], Transfers]
    rebalance: Callable[[StepFacts], StepEnded]
    folder: str

    def run(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """See `StepRunner`."""
        if reason := self._unmet(step.when, "when", node, facts):
            return StepEnded(state=StepState.SKIPPED, reason=reason, changed=False)
        ended = self._done(node, step, facts, stop)
        is_told = ended.state is StepState.OK or (ended.state is StepState.FAILED and ended.result is not None)
        if step.until is None or not is_told:
            return ended
        if reason := self._unmet(step.until, "until", node, facts, ended.result):
            return replace(ended, state=StepState.FAILED, reason=reason)
        return replace(ended, state=StepState.OK, reason="")

    def check(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """See `StepRunner`. Only `copy` and `fetch` ask the node, and steps with `check_mode: false`."""
        if step.runs_in_check:
            return self.run(node, step, facts, stop)
        if step.when is not None and is_false(step.when, "when", facts):
            return StepEnded(state=StepState.SKIPPED, reason=f"skipped: not {step.when}", changed=False)
        match step.action:
            case CopyFiles() as action:
                return copy_step(self._transfers(step), node, action, self.folder, stop, compare=True)
            case FetchFiles() as action:
                return fetch_step(self._transfers(step), node, action, stop, compare=True)
            case _:
                return StepEnded(state=StepState.OK, reason=f"would {describe(step)}")

    def keep_drained(self, node: NodeName, reason: str, facts: StepFacts, stop: threading.Event) -> StepEnded:
        """See `StepRunner`."""
        return self.drains.keep(node, reason, facts)

    def _done(self, node: NodeName, step: Step, facts: StepFacts, stop: threading.Event) -> StepEnded:  # noqa: C901, PLR0911, PLR0912 - one case for each action
        services = self._as_user(step)
        match step.action:
            case RunProgram() as action:
                program = replace(remote_program(action.program, node, step, facts, env=action.env), chdir=action.chdir)
                ran = (
                    run_here(program, facts, stop)
                    if step.on_this_host
                    else run_on_node(services.transport, node, program, stop, within_s=services.answer_within_s)
                )
                ended = ended_by(ran, action.ok_codes, step)
                is_kept = action.output is not None and not facts.is_dry_run
                return with_output_file(ended, f"{action.output}.{node}") if is_kept else ended
            case CopyFiles() as action:
                return copy_step(self._transfers(step), node, action, self.folder, stop, timeout_s=step.timeout_s)
            case FetchFiles() as action:
                return fetch_step(self._transfers(step), node, action, stop, timeout_s=step.timeout_s)
            case DrainNode() as action:
                return self.drains.drain(node, action, facts, stop)
            case ResumeNode(earlier_runs=earlier_runs):
                return self.drains.resume(node, facts, earlier_runs=earlier_runs)
            case WaitFor() as action:
                return Waits(services).wait_for(node, step, action, facts, stop)
            case Reboot() as action:
                return Waits(services).reboot(node, step, action, facts, stop)
            case CheckHealth() as action:
                return Waits(services).health(node, step, action, facts, stop)
            case Rebalance():
                return self.rebalance(facts)
            case Pause(seconds=seconds):
                is_stopped = stop.wait(seconds or 0.0)
                return StepEnded(state=StepState.UNKNOWN if is_stopped else StepState.OK, changed=False)
            case Assert(that=that, message=message):
                reason = self._unmet(that, "assert", node, facts)
                state = StepState.FAILED if reason else StepState.OK
                return StepEnded(state=state, reason=(message or reason) if reason else "", changed=False)
            case Notify() as action:
                return notify(node, step, action, facts, stop)
            case _:
                assert_never(step.action)

    def _unmet(self, text: str | None, key: str, node: NodeName, facts: StepFacts, last: Result | None = None) -> str:
        """Why the condition is not true; empty: it is, or there is none."""
        if text is None:
            return ""
        load: Measured | Unknown = NOT_ASKED
        if needs_load(text, key, facts.playbook):
            load = load_of(look(self.services, node))
        return unmet(text, key, facts, load, last)

    def _as_user(self, step: Step) -> Services:
        if step.user is None:
            return self.services
        return replace(self.services, transport=self.services.transport.as_user(step.user))

    def _transfers(self, step: Step) -> Transfers:
        return self.transfers_over(self._as_user(step).transport)
