"""Requests to cancel jobs: the journal keeps them until every node of the job has confirmed its end.

The controller of a job ends it; a job without one is ended by the next process that reaches its nodes. Most calls find
no such request, so what is needed to visit jobs is imported late (docs/design/startup.md).
"""

from collections.abc import Callable

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import Measured, Snapshot

_BESIDE_S = 2.0  # for ends that nobody needs: an end takes this long, with a second between TERM and KILL
_FOR_ROOM_S = 5.0


def cancel_requested(services: Services, job: int) -> str:
    """Who asked to cancel the job, for its controller; empty: nobody, or the journal cannot be read now."""
    try:
        record = services.journal.record(job)
    except StoreError:
        return ""
    return "" if record is None else record.cancel_requested


def end_cancelled(services: Services, snapshot: Snapshot, fits: Callable[[], bool] = lambda: False) -> bool:
    """End the jobs whose cancel waits for a node that has answered now. A job that does not die is not waited for long.

    If one of them is over, its nodes have room again: the caller sweeps once more. `fits`: whether there is room
    without that.
    """
    if not services.journal.cancel_requests():
        return False
    from clbalance.engine.jobs.submitted import end_on

    nodes = frozenset(answer.node for answer in snapshot.answers if isinstance(answer, Measured))
    return end_on(services, nodes, within_s=_BESIDE_S if fits() else _FOR_ROOM_S)
