"""`pick --for`: nodes are ranked by the load expected later, and those that may not stay free are told."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clbalance.cli.cluster import ClusterContext
from clbalance.cli.console import Console
from clbalance.model import Measured, Plan, Request
from clbalance.policy.placement.policies import looking_ahead
from clbalance.render import messages
from clbalance.render.text import span

if TYPE_CHECKING:  # judged once nodes have been chosen
    from clbalance.policy.forecast.stays_free import StaysFree


def looking_ahead_to(cluster: ClusterContext, ahead_s: float) -> ClusterContext:
    """The context, with a policy that looks so far ahead."""
    return replace(cluster, policy=looking_ahead(cluster.policy, ahead_s))


def say_what_stays_free(
    console: Console, plan: Plan, cluster: ClusterContext, request: Request, ahead_s: float
) -> "Sequence[StaysFree]":
    """Warn of chosen nodes that will probably not stay free, and return what is expected of each."""
    from clbalance.policy.forecast.stays_free import Verdict, stays_free

    of_node = {one.node: one for one in plan.charged.answers if isinstance(one, Measured)}
    limit = cluster.policy.thresholds.bound("r1m_per_cpu")
    found = [stays_free(of_node[node], request, limit) for node in plan.chosen]
    for one in found:
        match one.verdict:
            case Verdict.NO:
                console.say(messages.warning(f"{one.node} will probably not stay free for {span(ahead_s)}: {one.why}"))
            case Verdict.MAYBE:
                console.say(messages.note(f"{one.node} may not stay free for {span(ahead_s)}: {one.why}"))
            case Verdict.UNKNOWN:
                console.say(messages.note(f"nothing is known of {one.node} in {span(ahead_s)}: {one.why}"))
            case Verdict.YES:
                pass
    return found
