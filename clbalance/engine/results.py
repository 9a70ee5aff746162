"""Keep what became of a job as node sets, for ClusterShell and for whoever wants to go on with them."""

from collections.abc import Sequence

from clbalance.engine.world import World
from clbalance.errors import StoreError
from clbalance.job import Outcome
from clbalance.model import Plan
from clbalance.nodes import fold
from clbalance.policy.results import result_sets


def keep_results(world: World, job: int, outcomes: Sequence[Outcome], plan: Plan | None = None) -> None:
    """Of the job's last attempt; `plan` where it is at hand, whole. That it could not be kept is no failure."""
    try:
        submitted = world.journal.submitted(job)
        if submitted is None:
            return
        placed = world.journal.placed(job)
        known = plan or (placed[-1].plan if placed else None)
        sets = result_sets(outcomes, submitted.candidates, known)
        world.journal.keep_results(job, {result.value: fold(nodes) for result, nodes in sets.items()})
    except StoreError as error:
        world.listener.forgot(error.message)
