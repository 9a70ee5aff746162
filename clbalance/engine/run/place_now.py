"""Look for room for a job that a controller is to start."""

from clbalance.engine.jobs.cancel import end_cancelled
from clbalance.engine.place import sweep_and_place
from clbalance.engine.services import PlacementQuery, Services
from clbalance.model import Plan


def place_now(services: Services, query: PlacementQuery) -> Plan:
    """The plan, as the controller would find it: if nothing fits, jobs whose cancel waits are ended first."""
    plan = _plan(services, query)
    if not plan.fits and end_cancelled(services, plan.charged):
        return _plan(services, query)
    return plan


def _plan(services: Services, query: PlacementQuery) -> Plan:
    with services.transport.sessions() as sessions:
        return sweep_and_place(services, sessions, query)
