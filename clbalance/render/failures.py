"""Of copies that did not do well, a line for each way in which they failed, for who wants no remarks."""

from collections.abc import Iterable

from clbalance.job import JobState, Outcome
from clbalance.model import NodeName
from clbalance.nodes import fold
from clbalance.render.ends import told


def failure_lines(outcomes: Iterable[Outcome]) -> list[str]:
    """Such as `node[2,5]: FAILED with exit code 3`; none where all went well."""
    nodes: dict[str, list[NodeName]] = {}
    for outcome in outcomes:
        end = told(outcome.end)
        if end.state != JobState.COMPLETED:
            code = "" if end.rc is None or end.reason else f" with exit code {end.rc}"
            reason = f": {end.reason}" if end.reason else ""
            nodes.setdefault(f"{end.state}{code}{reason}", []).append(outcome.node)
    return [f"{fold(alike)}: {how}" for how, alike in nodes.items()]
