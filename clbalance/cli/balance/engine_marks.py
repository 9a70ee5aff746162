"""`drain` and `resume` of nodes in their batch system (`--engine slurm`), where it lets the user."""

from collections.abc import Callable, Sequence

from clbalance.cli.balance.drain_marks import MarkMessages, check_reason, mark_row, report_marks
from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.options import DrainOptions, NodeOptions, SshOptions
from clbalance.engine.drain import Marked
from clbalance.errors import UsageError
from clbalance.model import NodeName
from clbalance.ports.engine import Engine
from clbalance.render.reports.balance.marks import MarksReport
from clbalance.wiring.engines import engine_meant, engines_of

_DRAINED = MarkMessages(example="clbalance drain --engine slurm node[1-3] --reason TEXT", done="drained", not_root="")


def drain_in_engine(
    engine: str, nodes: NodeOptions, ssh: SshOptions, console: Console, reason: str, terms: DrainOptions
) -> int:
    """The exit code of `clbalance drain --engine slurm`."""
    check_reason(reason)
    if terms != DrainOptions():
        raise UsageError(
            f"with `--engine {engine}`, `drain` takes `--reason` alone",
            hint=f"`clbalance resume --engine {engine}` ends it, and `clbalance load` shows whether jobs run there",
        )
    return _mark(engine, nodes, ssh, console, _DRAINED, lambda found, names: found.drain(names, reason))


def resume_in_engine(engine: str, nodes: NodeOptions, ssh: SshOptions, console: Console, texts: MarkMessages) -> int:
    """The exit code of `clbalance resume --engine slurm`."""
    return _mark(engine, nodes, ssh, console, texts, lambda found, names: found.resume(names))


def _mark(
    typed: str,
    nodes: NodeOptions,
    ssh: SshOptions,
    console: Console,
    texts: MarkMessages,
    change: Callable[[Engine, Sequence[NodeName]], str],
) -> int:
    """`UsageError` if no nodes are named."""
    if not nodes.names_nodes:
        raise UsageError("no nodes named", hint=f"`{texts.example}`, or with `-g GROUP`")
    cluster = cluster_context(nodes, ssh, console)
    name, meant = engine_meant(typed, cluster.settings, None), cluster.candidates.nodes
    failure = change(engines_of(cluster.settings)(name), meant)
    marked = [Marked(node=node, done=not failure, message=f"{name}: {failure}" if failure else "") for node in meant]
    code = report_marks(console, marked, texts)
    console.show(MarksReport(tuple(mark_row(one, texts.done) for one in marked)))
    return code
