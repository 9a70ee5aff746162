"""The error for a plan with too few nodes."""

from clbalance.errors import NothingFitsError
from clbalance.model import Plan
from clbalance.nodeset import Candidates, fold


def nothing_fits(plan: Plan, candidates: Candidates, *, explained: bool) -> NothingFitsError:
    """The error that says why too few nodes fit, with a count for each reason."""
    from clbalance.policy.placement.explain import unfit_summary  # deferred import: docs/design/startup.md
    from clbalance.policy.placement.job_needs import JOB_NEEDS

    hint = "`clbalance load` shows the nodes"
    if all(unfit.filter in JOB_NEEDS for unfit in plan.unfit) and plan.unfit:
        hint = f"`clbalance doctor -w {fold(unfit.node for unfit in plan.unfit)}` says what is wrong there"
    elif not explained:
        hint += "; `clbalance pick --explain` says why not, node by node"
    return NothingFitsError(unfit_summary(plan, len(candidates.nodes) + len(candidates.excluded)), hint=hint)
