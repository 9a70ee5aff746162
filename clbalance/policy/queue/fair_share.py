"""Fair share among the accounts of one state folder: of jobs that wait, those of who used less come sooner. Pure.

    use of a job = charge * ∫ 2^(-age / half-life) dt         charge: its cpus, or 8 for each GPU if that is more
    fair share   = 2^(-u / s)                                 u: an account's part of all use; s = 1/n, of n accounts

The second line is Slurm's ("classic" fair share of its multifactor plug-in). An account that used just its share has
1/2, one that used nothing 1. docs/design/fair-share.md says what an account is.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.model.job import Submitted

_CPUS_OF_A_GPU: Final = 8.0
HALF_LIVES: Final = 10
"""Use that ended before so many half-lives is less than a thousandth of itself, and is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What one job has held: its charge, from its start to its end."""

    account: str
    charge: float
    since_s: float
    until_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FairShare:
    """An account's part of all decayed use, the part that is its share, and the factor from both, 0…1."""

    used: float
    share: float
    factor: float


def points_text(*, priority: float, waiting: float, weight: float, account: str, share: FairShare | None) -> str:
    """The points of a job in the queue, term by term; `share` None: no other account waits, so it does not count."""
    fair_share = 0.0 if share is None else weight * share.factor
    text = f"{priority + waiting + fair_share:.2f} points: {priority:g} priority, {waiting:.2f} waiting"
    if share is None:
        return text
    use = f"account {account} has {share.used:.0%} of the use, and its share is {share.share:.0%}"
    return f"{text}, {fair_share:.2f} fair share ({use})"


def account_of(submitted: Submitted) -> str:
    """The account: as it was named, else the login on the nodes, else Slurm's name for none."""
    return submitted.account or submitted.job.user or "default"


def charge_of(request: Request, copies: int) -> float:
    """What a job of so many copies costs in each second."""
    return copies * max(request.cpus, _CPUS_OF_A_GPU * request.gpus * request.gpu_share)


def decayed(use: Use, now_s: float, half_life_s: float) -> float:
    """What counts of a use now. Times in the future, as after a clock was set back, count as now."""
    since_s, until_s = (max(0.0, now_s - at_s) / half_life_s for at_s in (use.since_s, use.until_s))
    return max(0.0, use.charge * half_life_s / math.log(2) * (2**-until_s - 2**-since_s))


def fair_shares(
    uses: Iterable[Use], waiting: Iterable[str], now_s: float, half_life_s: float
) -> Mapping[str, FairShare]:
    """By account, of all that wait or have used anything."""
    sums = dict.fromkeys(waiting, 0.0)
    for use in uses:
        sums[use.account] = sums.get(use.account, 0.0) + decayed(use, now_s, half_life_s)
    total = sum(sums.values())
    share = 1 / len(sums) if sums else 1.0
    parts = {account: used / total if total > 0 else 0.0 for account, used in sums.items()}
    return {account: FairShare(used=part, share=share, factor=2 ** (-part / share)) for account, part in parts.items()}
