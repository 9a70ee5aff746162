"""How jobs' ends are told: Slurm's state names, codes as a shell has them, reasons, and failures line by line."""

from collections.abc import Iterable

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.job_record import End, Exited, JobState, Killed, Lost, NotStarted, Outcome, OutOfMemory
from clbalance.nodeset import fold
from clbalance.policy.jobs.outcome import code_of, reason_of, state_of, worst_outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeText:
    """One end in words. `rc` is None where there is no code that the job itself caused."""

    state: str
    rc: int | None
    reason: str | None = None
    signal: int | None = None


def describe_outcome(end: End) -> OutcomeText:
    """`end` in the field's words; a copy of which nothing is known is not called running, for nobody sees it run."""
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
    """The gravest state with its reason, and the highest code that a copy ended with."""
    outcomes = tuple(outcomes)
    worst = worst_outcome(outcomes)
    if worst is None:
        return OutcomeText(state="FAILED", rc=None, reason="not started")
    end = describe_outcome(worst.end)
    codes = [code for code in (_code(outcome.end) for outcome in outcomes) if code is not None]
    return OutcomeText(state=end.state, rc=max(codes, default=None), reason=end.reason, signal=end.signal)


# Of copies that did not do well, a line for each way in which they failed, for who wants no remarks.


def failure_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """Such as `node[2,5]: FAILED with exit code 3`; none where all went well."""
    nodes: dict[str, list[NodeName]] = {}
    for outcome in outcomes:
        end = describe_outcome(outcome.end)
        if end.state != JobState.COMPLETED:
            code = "" if end.rc is None or end.reason else f" with exit code {end.rc}"
            reason = f": {end.reason}" if end.reason else ""
            nodes.setdefault(f"{end.state}{code}{reason}", []).append(outcome.node)
    return [f"{fold(alike)}: {how}" for how, alike in nodes.items()]
