"""Why nothing, or not enough, fits: one line that counts the reasons."""

from collections import Counter

from clbalance.model import Plan


def why_not(plan: Plan, total: int) -> str:
    """Such as "0/12 nodes fit: 5 load above 0.80, 4 load unknown, 3 excluded".

    `total` is how many nodes were meant; those that the plan does not know of were never asked.
    """
    reasons = Counter(unfit.reason for unfit in plan.unfit)
    if (unasked := total - len(plan.ranked) - len(plan.unfit)) > 0:
        reasons["not asked"] += unasked
    wanted = f", {plan.wanted} wanted" if plan.wanted is not None and plan.wanted > 1 else ""
    head = f"{len(plan.ranked)}/{total} nodes fit{wanted}"
    told = ", ".join(f"{count} {reason}" for reason, count in _most_frequent(reasons))
    return f"{head}: {told}" if told else head


def _most_frequent(reasons: Counter[str]) -> list[tuple[str, int]]:
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
