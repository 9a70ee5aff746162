"""How a job's end is told: Slurm's state names, a code as a shell has it, and the reason."""

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import assert_never

from clbalance.model import Cancelled, End, Exited, Killed, Lost, NotStarted, Outcome, TimedOut
from clbalance.render.figures import duration


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEnd:
    """One end in words. `rc` is None where there is no code that the job itself caused."""

    state: str
    rc: int | None
    reason: str | None = None
    signal: int | None = None


# From mild to grave; a job of several copies is told by its gravest.
_STATES = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def told(end: End) -> ToldEnd:  # noqa: PLR0911 - one return for each member of the union
    """`end` in the field's words."""
    match end:
        case Exited(rc=0):
            return ToldEnd(state="COMPLETED", rc=0)
        case Exited(rc=rc):
            return ToldEnd(state="FAILED", rc=rc)
        case Killed(signal=number):
            return ToldEnd(state="FAILED", rc=128 + number, reason=f"killed by {_signal_name(number)}", signal=number)
        case TimedOut(limit_s=limit_s):
            return ToldEnd(state="TIMEOUT", rc=None, reason=f"time limit of {duration(limit_s)} reached")
        case Cancelled(why=why):
            return ToldEnd(state="CANCELLED", rc=None, reason=why)
        case NotStarted(why=why, rc=rc):
            return ToldEnd(state="FAILED", rc=rc, reason=f"not started: {why}")
        case Lost(cause=cause, why=why):
            return ToldEnd(state="NODE_FAIL", rc=None, reason=cause.because(why))
        case _:
            assert_never(end)


def told_together(outcomes: Iterable[Outcome]) -> ToldEnd:
    """The gravest state with its reason, and the highest code that a copy ended with."""
    ends = [told(outcome.end) for outcome in outcomes]
    if not ends:
        return ToldEnd(state="FAILED", rc=None, reason="not started")
    gravest = max(ends, key=lambda end: _STATES.index(end.state))
    return ToldEnd(
        state=gravest.state,
        rc=max((end.rc for end in ends if end.rc is not None), default=None),
        reason=gravest.reason,
        signal=gravest.signal,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
