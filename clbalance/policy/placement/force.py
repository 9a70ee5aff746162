"""What `--force` sets aside on a node: the filters that the request would have failed without it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from clbalance.model import Measured, NodeName, Request, Snapshot, Unfit
from clbalance.policy.placement.filters import filter_input, unfit_reason
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.thresholds import Thresholds

_NO_MARKS: Final = ()
_NO_LIMITS: Final = Thresholds(**{key: None for key, _ in Thresholds().bounds})


def unforced(request: Request) -> Request:
    """The same request without `--force`: a migration takes a job nowhere by force."""
    if not request.constraints.force:
        return request
    return replace(request, constraints=replace(request.constraints, force=False))


def set_aside(
    snapshot: Snapshot, chosen: Sequence[NodeName], request: Request, policy: Policy, now: datetime
) -> Iterator[Unfit]:
    """All that was set aside on the chosen nodes; nothing for a request without `--force`."""
    if not request.constraints.force:
        return
    plain = unforced(request)
    asked = filter_input(snapshot, plain, policy, now)
    without_limits = filter_input(snapshot, plain, replace(policy, thresholds=_NO_LIMITS), now)
    for answer in snapshot.answers:
        if not isinstance(answer, Measured) or answer.node not in chosen:
            continue
        undrained = replace(answer, reading=replace(answer.reading, drains=_NO_MARKS))
        in_service = replace(undrained, slurm=None)
        trusted = replace(in_service, suspect="")
        healthy = replace(trusted, site=replace(trusted.site, checks=()))
        # The first failed filter hides the others, so each is taken away once it was found.
        found = [unfit_reason(one, asked) for one in (answer, undrained, in_service, trusted, healthy)]
        by_filter = {one.filter: one for one in found if isinstance(one, Unfit)}
        if "thresholds" not in by_filter and isinstance(full := unfit_reason(healthy, without_limits), Unfit):
            by_filter[full.filter] = full
        yield from by_filter.values()
