"""What a filter that is typed means on a cluster, whose nodes may have labels and indices of their own."""

from collections.abc import Callable
from functools import partial

from clbalance.cli.cluster import ClusterContext
from clbalance.render.top.narrow import Filter, parse_filter
from clbalance.wiring.plugins.wanted import external_indices_of


def filter_parser(cluster: ClusterContext) -> Callable[[str], Filter]:
    """Tells the meaning of a text."""
    labels = frozenset(name for labels in cluster.labels.values() for name in labels)
    return partial(parse_filter, labels=labels, external=external_indices_of(cluster.settings))
