"""Texts for the ends of jobs: Slurm's state names, exit codes as in a shell, reasons, and lines for failures."""

from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import End, Exited, JobState, Killed, Lost, NotStarted, Outcome, OutOfMemory
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import code_of, reason_of, state_of, worst_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeText:
    """One end in words. `rc` is None if there is no exit code of the job itself."""

    state: str
    rc: int | None
    reason: str | None = None
    signal: int | None = None


def describe_outcome(end: End) -> OutcomeText:
    """`end` in Slurm's words; a lost copy is `UNKNOWN`, not running, because nobody sees it run."""
    state = "UNKNOWN" if isinstance(end, Lost) else state_of(end).value
    number = end.signal if isinstance(end, Killed) else None
    return OutcomeText(state=state, rc=_code(end), reason=reason_of(end) or None, signal=number)


def _code(end: End) -> int | None:
    match end:
        case Exited(rc=rc) | NotStarted(rc=rc):
            return rc
        case Killed() | OutOfMemory():
            return code_of(end)
        case _:
            return None


def describe_outcomes(outcomes: Iterable[Outcome]) -> OutcomeText:
    """The worst state of the copies with its reason, and their highest exit code."""
    outcomes = tuple(outcomes)
    worst = worst_outcome(outcomes)
    if worst is None:
        return OutcomeText(state="FAILED", rc=None, reason="not started")
    end = describe_outcome(worst.end)
    codes = [code for code in (_code(outcome.end) for outcome in outcomes) if code is not None]
    return OutcomeText(state=end.state, rc=max(codes, default=None), reason=end.reason, signal=end.signal)


def failure_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each kind of failure, such as `node[2,5]: FAILED with exit code 3`; none if all copies completed."""
    nodes: dict[str, list[NodeName]] = {}
    for outcome in outcomes:
        end = describe_outcome(outcome.end)
        if end.state != JobState.COMPLETED:
            code = "" if end.rc is None or end.reason else f" with exit code {end.rc}"
            reason = f": {end.reason}" if end.reason else ""
            nodes.setdefault(f"{end.state}{code}{reason}", []).append(outcome.node)
    return [f"{fold(alike)}: {how}" for how, alike in nodes.items()]
