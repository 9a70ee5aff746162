"""Find our leftovers on nodes, and remove them if requested: one agent a node, asked until there is no more."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from clbalance.engine.agent.protocol import AgentError, AgentEvent, Findings, Hello, ReapedItem, Refused, encode
from clbalance.engine.agent.sessions import Ask, ask_each
from clbalance.engine.services import Services
from clbalance.model import NodeName
from clbalance.model.checkup import Leftover, LeftoverKind, Reaped
from clbalance.policy.jobs.job_files import is_kept
from clbalance.ports import Closed

MOST_ANSWERS = 400
"""From one node: enough for as many leftovers as it looks at in one folder, and half as many more."""


def reap(services: Services, nodes: Sequence[NodeName], *, keep_s: float, apply: bool) -> tuple[Reaped, ...]:
    """The leftovers of each node. With `apply` they are removed; one that stays has a reason.

    Jobs whose output files or results are still to come from a node keep all their leftovers there.
    """
    keep = _keys(services, {one.job for one in services.journal.outputs(pending=True)})
    keep += _keys(services, awaited_results(services))
    found: dict[NodeName, dict[tuple[LeftoverKind, str], Leftover]] = {node: {} for node in nodes}
    answers = dict.fromkeys(nodes, 0)

    def ask(after: str) -> Ask:
        request = encode("reap", keep_s=keep_s, apply=apply, after=after, keep=keep)
        return Ask(request=request, within_s=services.answer_within_s)

    def done(node: NodeName) -> Reaped:
        return Reaped(node=node, found=tuple(found[node].values()))

    def react(node: NodeName, event: AgentEvent | Closed) -> Ask | Reaped | None:
        match event:
            case Hello():
                return ask("")
            case Findings(found=news, last=last, more=more):
                answers[node] += 1
                _add(found[node], news)
                if not more:
                    return done(node)
                return ask(last) if answers[node] < MOST_ANSWERS else replace(done(node), reason="there is more")
            case Refused(reason=reason) | AgentError(reason=reason):
                return replace(done(node), reason=reason)
            case Closed(cause=cause, reason=reason):
                return replace(done(node), cause=cause, reason=reason)
            case _:
                return None

    return ask_each(services, nodes, react)


def awaited_results(services: Services) -> tuple[int, ...]:
    """The jobs whose results are kept on their nodes until they are returned, for some time (`KEPT_S`)."""
    now = services.clock.now()
    kept = []
    for one in services.journal.returns().all(pending=True):
        record = services.journal.record(one.job)
        if record is not None and is_kept(one, record, now):
            kept.append(one.job)
    return tuple(dict.fromkeys(kept))


def _keys(services: Services, jobs: Iterable[int]) -> list[str]:
    records = [services.journal.record(job) for job in sorted(jobs)]
    return [record.key for record in records if record is not None]


def _add(found: dict[tuple[LeftoverKind, str], Leftover], news: Sequence[ReapedItem]) -> None:
    """A folder that takes several answers is in each of them, with the bytes removed since the last: add them up."""
    for one in news:
        kind = LeftoverKind(one.kind)
        before = found.get((kind, one.name))
        found[kind, one.name] = Leftover(
            kind=kind,
            name=one.name,
            size_bytes=one.bytes + (before.size_bytes if before else 0),
            pids=one.pids,
            reason=one.reason,
        )
