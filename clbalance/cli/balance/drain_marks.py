"""Code that `drain` and `resume` share: send a request to the named nodes, and report each node's answer."""

import getpass
from collections.abc import Collection, Sequence
from datetime import datetime

from clbalance.cli.cluster import cluster_context
from clbalance.cli.console import Console
from clbalance.cli.option_values import FutureTime, parse_future_time
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.drain import DrainRequest, Marked, mark
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.render import messages
from clbalance.render.reports.balance.marks import MarkRow, MarksReport
from clbalance.units import parse_duration

_MAX_REASON = 200  # characters; the whole mark must fit into 1 KiB


def check_reason(reason: str) -> None:
    """`UsageError` for an empty reason, one that is too long, or one with unprintable characters."""
    if not reason.strip() or len(reason) > _MAX_REASON or not reason.isprintable():
        raise UsageError(f"`--reason` cannot be {reason[:40]!r}", hint=f"1 to {_MAX_REASON} printable characters")


def end_typed(lasting: str | None, until: str | None, now: datetime) -> float | FutureTime | None:
    """The seconds of `--for`, or the time of `--until`, as typed. `UsageError` for both."""
    if lasting is not None and until is not None:
        raise UsageError("`--for` and `--until` exclude each other", hint="`--for 2h` or `--until 18:00`")
    if lasting is not None:
        return parse_duration(lasting, "`--for`")
    return None if until is None else parse_future_time(until, "`--until`", now)


def drain_request_of(reason: str, end: float | FutureTime | None) -> DrainRequest:
    """The content of a drain mark. Only a time that was typed as such is sent as a time of our clock."""
    if isinstance(end, FutureTime):
        return DrainRequest(reason=reason, by=_user(), until_s=end.at.timestamp())
    return DrainRequest(reason=reason, by=_user(), lasts_s=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMessages:
    """The words of a verb for its results."""

    example: str
    """A command to type, for the hint if no nodes are named."""
    done: str
    begun: str = ""
    """For a node where jobs still run."""
    not_root: str
    """A note for users who are not root on the nodes."""


def mark_nodes(nodes: NodeOptions, ssh: SshOptions, console: Console, request: bytes, texts: MarkMessages) -> int:
    """Send `request` to the nodes and report their answers; the exit code. `UsageError` if no nodes are named."""
    if not nodes.names_nodes:
        raise UsageError("no nodes named", hint=f"`{texts.example}`, or with `-g GROUP`")
    cluster = cluster_context(nodes, ssh, console)
    with cluster.services() as services:
        marked = mark(services, cluster.candidates.nodes, request)
    code = report_marks(console, marked, texts)
    console.show(MarksReport(tuple(mark_row(one, texts.done) for one in marked)))
    return code


def tell_doubt(console: Console, nodes: Sequence[NodeName]) -> None:
    """Name the nodes that may be drained although the drain failed."""
    for node in nodes:
        console.say(messages.warning(f"{node} may be drained: `clbalance resume {node}`"))


def mark_row(one: Marked, done: str) -> MarkRow:
    """One node's answer; `done`: the result of a mark that was set or taken away now."""
    result = "failed" if not one.done else "unchanged" if one.message else done
    return MarkRow(name=one.node, result=result, reason=one.message or None)


def report_marks(
    console: Console,
    marked: Sequence[Marked],
    texts: MarkMessages,
    begun: Collection[NodeName] = (),
) -> int:
    """Report the nodes' answers, nodes with equal answers in one line; the exit code. Nothing to do is no failure.

    `begun`: the nodes where jobs still run.
    """
    done = [one for one in marked if one.done]
    if changed := [one.node for one in done if not one.message]:
        _report_changed(console, changed, texts, begun)
    if any(one.uid for one in done):
        console.say(messages.note(f"you are not root there: {texts.not_root}"))
    by_words: dict[tuple[bool, str], list[NodeName]] = {}
    for one in marked:
        if one.message:
            by_words.setdefault((one.done, one.message), []).append(one.node)
    for (is_done, message), nodes in by_words.items():
        say = messages.note if is_done else messages.warning
        console.say(say(f"{fold(nodes)}: {message}"))
    return ExitCode.DONE if len(done) == len(marked) else ExitCode.SOME_NODES_FAILED


def _report_changed(
    console: Console, nodes: Sequence[NodeName], texts: MarkMessages, begun: Collection[NodeName]
) -> None:
    for word, some in (
        (texts.done, [node for node in nodes if node not in begun]),
        (texts.begun, [node for node in nodes if node in begun]),
    ):
        if some:
            console.say(messages.note(f"{word} {fold(some)}"))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
