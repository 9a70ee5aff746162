"""The lines of a run in the audit log: drains, resumes and reboots."""

from clbalance.cli.audit import AuditTrail
from clbalance.model.play_run import StepRecord, StepState
from clbalance.model.playbook import DrainNode, Reboot, ResumeNode, Step
from clbalance.render.reports.balance.rebalance import Action

_SILENT = (StepState.SKIPPED, StepState.REFUSED)


class PlayTrail:
    """What a run has done to the nodes themselves."""

    def __init__(self, trail: AuditTrail, playbook: str, number: int) -> None:
        self._trail = trail
        self._playbook = playbook
        self._number = number

    def step_ended(self, record: StepRecord, step: Step) -> None:
        """Log it, if it is one of these."""
        if record.ended is None or record.ended.state in _SILENT:
            return
        match step.action:
            case DrainNode():
                what = "drain"
            case ResumeNode():
                what = "resume"
            case Reboot():
                what = "reboot"
            case _:
                return
        self._trail.add(
            Action(
                what=what,
                job=f"play {self._number}",
                name=self._playbook,
                src=record.node,
                dst="",
                reason=f"run {self._number} of {self._playbook}",
                gain=None,
                result=record.ended.reason or record.ended.state.value,
            )
        )
