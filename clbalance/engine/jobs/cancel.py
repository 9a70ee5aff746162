"""Requests to cancel jobs: the journal keeps them until every node of the job has confirmed its end.

The controller of a job ends it; a job without one is ended by the next process that reaches its nodes. Most calls find
no such request, so what is needed to visit jobs is imported late (docs/design/startup.md).
"""

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.model import Measured, Snapshot
from clbalance.ports import Sessions


def cancel_requested(services: Services, job: int) -> str:
    """Who asked to cancel the job, for its controller; empty: nobody, or the journal cannot be read now."""
    try:
        record = services.journal.record(job)
    except StoreError:
        return ""
    return "" if record is None else record.cancel_requested


def end_cancelled(services: Services, sessions: Sessions, snapshot: Snapshot) -> bool:
    """End the jobs whose cancel waits for a node that has answered now.

    If one of them is over, its nodes have room again: the sessions are closed, and the caller sweeps once more.
    """
    if not services.journal.cancel_requests():
        return False
    from clbalance.engine.jobs.submitted import end_on

    nodes = frozenset(answer.node for answer in snapshot.answers if isinstance(answer, Measured))
    if not end_on(services, nodes):
        return False
    for node in sessions.open_nodes():
        sessions.close(node)
    return True
