"""How a job's end is told: Slurm's state names, a code as a shell has it, and the reason."""

from collections.abc import Iterable

from clbalance.job import End, Exited, Killed, Lost, NotStarted, Outcome, OutOfMemory
from clbalance.lazy_dataclass import dataclass
from clbalance.policy.exit_code import code_of
from clbalance.policy.verdict import gravest, reason_of, state_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEnd:
    """One end in words. `rc` is None where there is no code that the job itself caused."""

    state: str
    rc: int | None
    reason: str | None = None
    signal: int | None = None


def told(end: End) -> ToldEnd:
    """`end` in the field's words; a copy of which nothing is known is not called running, for nobody sees it run."""
    state = "UNKNOWN" if isinstance(end, Lost) else state_of(end).value
    number = end.signal if isinstance(end, Killed) else None
    return ToldEnd(state=state, rc=_code(end), reason=reason_of(end) or None, signal=number)


def _code(end: End) -> int | None:
    match end:
        case Exited(rc=rc) | NotStarted(rc=rc):
            return rc
        case Killed() | OutOfMemory():
            return code_of(end)
        case _:
            return None


def told_together(outcomes: Iterable[Outcome]) -> ToldEnd:
    """The gravest state with its reason, and the highest code that a copy ended with."""
    outcomes = tuple(outcomes)
    worst = gravest(outcomes)
    if worst is None:
        return ToldEnd(state="FAILED", rc=None, reason="not started")
    end = told(worst.end)
    codes = [code for code in (_code(outcome.end) for outcome in outcomes) if code is not None]
    return ToldEnd(state=end.state, rc=max(codes, default=None), reason=end.reason, signal=end.signal)
