"""Connect to nodes first; what asks them is imported and opened meanwhile (docs/design/startup.md)."""

import contextlib
from collections.abc import Iterator

from clbalance.cli.cluster import ClusterContext
from clbalance.model import Request
from clbalance.transport.reach import SshTransport


@contextlib.contextmanager
def connecting(cluster: ClusterContext, request: Request | None = None) -> Iterator[None]:
    """Have the candidates connected to while the block begins; the next sessions there find them so.

    `request`: of a placement. Where few of many nodes may do, it is not known yet which ones are asked.
    """
    with contextlib.ExitStack() as stack:
        # Other transports keep their sessions: those are open, or are opened when they are due.
        if isinstance(cluster.transport, SshTransport) and not _may_ask_few(cluster, request):
            stack.enter_context(cluster.transport.connecting(cluster.candidates.nodes))
        yield


def _may_ask_few(cluster: ClusterContext, request: Request | None) -> bool:
    nodes = cluster.candidates.nodes
    if request is None or request.pick in (None, len(nodes)) or cluster.settings.policy.shortlist_age_s is None:
        return False
    from clbalance.policy.shortlist import may_ask_few  # often all of them are wanted, or there is one

    return may_ask_few(request, cluster.policy, len(nodes))
