"""How many tasks a slot is given at once, when there have been too many failures, and how long it will take. Pure."""

import math

from clbalance.job import TaskRules

_AHEAD_S = 0.2  # of work that a slot has, so that it never waits for us
_MOST_AHEAD = 64
_FAIR = 2
"""Each slot is given at most its share of what is left, divided by this: so all of them end at about the same time."""


def depth(mean_s: float | None, pending: int, slots: int, may_fail: int | None = None) -> int:
    """How many tasks one slot may have: one that runs, and so many behind it as are short.

    Bound late: long tasks are not given to a slot before it is free, for another may be free sooner. `mean_s` is how
    long tasks have taken until now, None before the first has ended; `may_fail`, how many may still fail before it is
    enough, for what a slot has it runs.
    """
    if mean_s is None:
        return 1
    ahead = math.ceil(_AHEAD_S / max(mean_s, _AHEAD_S / _MOST_AHEAD))
    share = math.ceil(pending / (_FAIR * max(1, slots)))
    most = ahead if may_fail is None else min(ahead, may_fail // max(1, slots))
    return max(1, min(most, share))


def most_failures(rules: TaskRules, total: int) -> int | None:
    """How many may fail before no more are given out; None: all of them."""
    if rules.max_fail is None:
        return None
    return math.floor(total * rules.max_fail / 100) if rules.max_fail_is_pct else int(rules.max_fail)


def left_s(*, elapsed_s: float, done: int, total: int) -> float | None:
    """Until all are done, at the pace so far."""
    return None if done == 0 else elapsed_s / done * (total - done)
