"""Sessions that a long-lived call keeps between its questions."""

from clbalance.cli.cluster import ClusterContext
from clbalance.engine.kept.pool import KeptTimes
from clbalance.engine.kept.transport import KeptTransport
from clbalance.engine.services import Services
from clbalance.policy.kept_sessions import KeptLimits


def keeping_sessions(cluster: ClusterContext, services: Services) -> KeptTransport:
    """The transport of these services, with sessions that stay open for the next use."""
    limits = KeptLimits(most=min(KeptLimits().most, services.session_limit))
    times = KeptTimes(begin_within_s=services.answer_within_s, answer_within_s=services.step_within_s)
    return KeptTransport(services.transport, clock=services.clock, rng=cluster.rng, times=times, limits=limits)
