"""What `replay` takes where no file tells it: the jobs that this host remembers, and the nodes of a sweep."""

from clbalance.cli.cluster import cluster_context, open_store
from clbalance.cli.console import Console
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.sweep import sweep
from clbalance.errors import TraceError
from clbalance.model import Snapshot
from clbalance.model.trace import Trace
from clbalance.trace.history import history_trace
from clbalance.trace.nodes import emptied

_MOST_JOBS = 1_000_000  # jobs read from the journal


def remembered_jobs(console: Console) -> Trace:
    """The jobs in the journal of this host."""
    with open_store(console) as (_, journal):
        records = journal.records(over=True, newest=_MOST_JOBS)
        return history_trace([(record, journal.submitted(record.id)) for record in records])


def swept_nodes(nodes: NodeOptions, ssh: SshOptions, console: Console) -> Snapshot:
    """The nodes of the options, or all, as if they were idle; `TraceError` if none has answered."""
    cluster = cluster_context(nodes, ssh, console)
    with (
        cluster.services(meanwhile="clbalance.policy.queue.replay") as services,
        services.transport.sessions() as sessions,
    ):
        found = emptied(sweep(services, sessions, cluster.candidates.nodes))
    if not found.answers:
        raise TraceError("no node has answered", hint="`clbalance load` says why; or name a file of nodes")
    return found
