"""A row for each node of a snapshot: its state, with the reason, and its score. Pure."""

import random

from clbalance.model import Request, Snapshot
from clbalance.policy.placement.explain import node_state
from clbalance.policy.placement.place import place
from clbalance.policy.placement.policies import Policy
from clbalance.policy.placement.quorum import was_not_awaited
from clbalance.render.views import NodeRow


def node_rows(snapshot: Snapshot, policy: Policy, cpus: float = 1.0) -> list[NodeRow]:
    """One row per node, in the order of the snapshot; `cpus`: the request of a plain job, for the score."""
    plan = place(snapshot, Request(pick=None, cpus=cpus), policy, snapshot.taken_at, random.Random(0))
    scores = {score.node: score.total for score in plan.ranked}
    rows = []
    for answer in snapshot.answers:
        condition = node_state(answer, policy.thresholds, snapshot.taken_at, cpus)
        rows.append(
            NodeRow(
                node=answer.node,
                state=condition.state,
                reason="no answer yet" if was_not_awaited(answer) else condition.reason,
                violated=condition.violated,
                answer=answer,
                score=scores.get(answer.node),
            )
        )
    return rows
