"""Make answers of what nodes sent, and keep them for the next sweep."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clbalance.engine.services import Services
from clbalance.errors import StoreError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Answer, Measured, NodeName, Rates, Reading, Silent, Trend, Unknown
from clbalance.model.node_history import FailureStreak
from clbalance.policy.indices.samples import index_values
from clbalance.policy.node_memory import node_sample
from clbalance.ports import Remembered
from clbalance.probe.frame import Section
from clbalance.probe.kept_answer import KeptSections, pack, unpack
from clbalance.probe.reading import parse_reading, rates

# What the store knows of nodes before a sweep, and what of their answers is stored.

_COMPARED_AFTER = timedelta(seconds=1)  # what rates need between two readings


@dataclass(frozen=True, slots=True)
class RememberedNodes:
    """For each node its last reading, its trends, and its failure streak."""

    readings: Mapping[NodeName, Remembered]
    trends: Mapping[NodeName, Mapping[str, Trend]]
    failure_streaks: Mapping[NodeName, FailureStreak]
    rates: Mapping[NodeName, Rates]
    """Where the last reading is too young to be compared with: the rates at that time."""

    def rates_up_to(self, node: NodeName, reading: Reading, at: datetime) -> Rates | Unknown:
        """The rates from the last reading to this one, or those of a moment ago."""
        before = self.readings.get(node)
        if before is None:
            return _NEVER_ASKED
        if node in self.rates and _is_too_soon(before, reading, at):
            return self.rates[node]
        return rates(before.reading, before.at, reading, at)

    def trends_since_boot(self, node: NodeName, boot_id: str | Unknown) -> Mapping[str, Trend]:
        """The trends of the node; empty if it was booted after its last reading."""
        before = self.readings.get(node)
        return {} if before is None or before.reading.boot_id != boot_id else self.trends.get(node, {})


_NEVER_ASKED = Unknown(reason="no earlier measurement to compare with")
_NOTHING_KNOWN = RememberedNodes({}, {}, {}, {})


def recall(services: Services, nodes: Sequence[NodeName]) -> RememberedNodes:
    """Read what the store has of `nodes`. If it cannot be read: a warning, and nothing is known."""
    store, now = services.store, services.clock.now()
    try:
        readings = store.last_readings(nodes)
        young = [node for node, one in readings.items() if now - one.at < _COMPARED_AFTER]
        return RememberedNodes(
            readings, store.trends(nodes, now), store.failure_streaks(nodes), _rates_then(services, young)
        )
    except StoreError as error:
        services.listener.store_failed(error.message)
        return _NOTHING_KNOWN


def _rates_then(services: Services, nodes: Sequence[NodeName]) -> dict[NodeName, Rates]:
    """The rates that these nodes had when they were last asked, a moment ago."""
    if not nodes:
        return {}
    kept = services.store.last_answers(nodes, services.clock.now() - _COMPARED_AFTER)
    answers = {node: unpack(node, one.content) for node, one in kept.items()}
    return {
        node: answer.rates
        for node, answer in answers.items()
        if isinstance(answer, KeptSections) and isinstance(answer.rates, Rates)
    }


def remember(
    services: Services,
    at: datetime,
    answers: Sequence[Answer],
    streaks: Mapping[NodeName, FailureStreak],
    earlier: RememberedNodes,
    came_at: Mapping[NodeName, datetime],
    sections: Mapping[NodeName, Mapping[str, Section]],
) -> None:
    """Store the answers, without readings that come too soon after the last, and changed streaks; warn on failure.

    `came_at`: when each node has answered; the sweep may have waited for others since. `sections`: what the nodes sent.
    """
    worth = _worth_remembering(answers, earlier.readings, came_at)
    measured = [answer for answer in worth if isinstance(answer, Measured)]
    readings = {answer.node: answer.reading for answer in measured}
    past = {answer.node: look for answer in worth if (look := node_sample(answer)) is not None}
    try:
        samples = {answer.node: index_values(answer) for answer in measured}
        kept = {answer.node: pack(answer, sections.get(answer.node, {})) for answer in worth if answer.node in past}
        services.store.remember(at, readings, samples, past, came_at=came_at, answers=kept)
    except StoreError as error:
        services.listener.store_failed(error.message)
    if streaks:
        try:
            services.store.save_failure_streaks(at, streaks)
        except StoreError as error:
            services.listener.store_failed(error.message)


def _worth_remembering(
    answers: Iterable[Answer], earlier: Mapping[NodeName, Remembered], came_at: Mapping[NodeName, datetime]
) -> list[Answer]:
    """Leave out a reading that comes too soon after the last: with frequent sweeps no node would ever have rates."""
    return [
        answer
        for answer in answers
        if isinstance(answer, Silent)
        or not _is_too_soon(earlier.get(answer.node), answer.reading, came_at[answer.node])
    ]


def _is_too_soon(before: Remembered | None, reading: Reading, at: datetime) -> bool:
    if before is None or before.reading.boot_id != reading.boot_id:
        return False
    return timedelta(0) <= at - before.at < _COMPARED_AFTER


def remember_refusals(services: Services, refusals: Mapping[NodeName, str]) -> None:
    """Remember that these nodes could take no job, and why."""
    if not refusals:
        return
    at = services.clock.now()
    with services.without_store():
        known = services.store.failure_streaks(tuple(refusals))
        services.store.save_failure_streaks(
            at,
            {
                node: replace(known[node], refused=reason, refused_at_s=at.timestamp(), worked_in_boot="")
                for node, reason in refusals.items()
            },
        )


def remember_working(services: Services, boots: Mapping[NodeName, str]) -> None:
    """Remember that an agent of ours has started on these nodes, in these boots."""
    with services.without_store():
        known = services.store.failure_streaks(tuple(boots))
        changed = {
            node: replace(known[node], worked_in_boot=boot, refused="")
            for node, boot in boots.items()
            if known[node].worked_in_boot != boot
        }
        if changed:
            services.store.save_failure_streaks(services.clock.now(), changed)


def forget_refusals(services: Services, nodes: Sequence[NodeName]) -> None:
    """These nodes have been looked at closely, and can take jobs."""
    with services.without_store():
        known = services.store.failure_streaks(nodes)
        changed = {node: replace(one, refused="", worked_in_boot="") for node, one in known.items() if one.refused}
        if changed:
            services.store.save_failure_streaks(services.clock.now(), changed)


def measured_answer(
    services: Services, node: NodeName, sections: Mapping[str, Section], rtt_s: float, earlier: RememberedNodes
) -> Measured:
    """The answer of a node that sent these sections."""
    reading = services.completed(node, parse_reading(sections))
    return Measured(
        node=node,
        reading=reading,
        rates=earlier.rates_up_to(node, reading, services.clock.now()),
        rtt_s=rtt_s,
        cpu_factor=services.cpu_factors.get(node, 1.0),
        slots=services.slots.get(node),
        trends=earlier.trends_since_boot(node, reading.boot_id),
        labels=services.labels.get(node, {}),
        taints=services.taints.get(node, frozenset()),
        slurm=None if services.slurm is None else services.slurm.nodes().get(node),
    )
