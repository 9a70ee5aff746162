"""A snapshot as the rows of `load`: each node's state and, for those that fit, its score. Pure."""

import random

from clbalance.errors import ExitCode
from clbalance.model import Measured, Request, Snapshot
from clbalance.policy.place import place
from clbalance.policy.policies import Policy
from clbalance.policy.state import node_state
from clbalance.render.views import NodeRow


def node_rows(snapshot: Snapshot, policy: Policy, cpus: float = 1.0) -> list[NodeRow]:
    """One row per node, in the order of the snapshot; `cpus`: that a plain job asks for."""
    plan = place(snapshot, Request(pick=None, cpus=cpus), policy, snapshot.taken_at, random.Random(0))
    scores = {score.node: score.total for score in plan.ranked}
    rows = []
    for answer in snapshot.answers:
        told = node_state(answer, policy.thresholds, snapshot.taken_at, cpus)
        rows.append(
            NodeRow(
                node=answer.node,
                state=told.state,
                reason=told.reason,
                violated=told.violated,
                answer=answer,
                score=scores.get(answer.node),
            )
        )
    return rows


def load_exit_code(snapshot: Snapshot, *, strict: bool) -> ExitCode:
    """0 if any node answered; with `strict`, 4 if one did not."""
    answered = sum(isinstance(answer, Measured) for answer in snapshot.answers)
    if answered == len(snapshot.answers) or (answered and not strict):
        return ExitCode.DONE
    return ExitCode.SOME_NODES_FAILED
