"""Rates of nodes without an earlier reading to compare with: the open sessions read the counters once more.

Only where a person looks at the nodes. Nothing is placed by so short a look, and none is remembered.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import assert_never

from clbalance.engine.open_sweep import OpenSweep
from clbalance.engine.services import Services
from clbalance.model import Measured, NodeName, Rates, Reading, Snapshot, Unknown
from clbalance.ports import Closed, Sessions
from clbalance.probe.frame import Answered, Frame, Garbled, probe_request
from clbalance.probe.reading import SECOND_LOOK_S, parse_reading, rates
from clbalance.random_hex import random_hex

_MOST_LOOKS = 2


def with_rates(services: Services, asked: OpenSweep, snapshot: Snapshot) -> Snapshot:
    """The snapshot, with rates for the nodes whose sessions are still open.

    A node that does not answer a second time keeps its first answer.
    """
    is_open = asked.sessions.open_nodes()
    first = {one.node: one for one in snapshot.answers if isinstance(one, Measured) and one.node in is_open}
    found = dict(first)
    for _ in range(_MOST_LOOKS):
        is_open = asked.sessions.open_nodes()
        again = [node for node, one in found.items() if not _has_moved(one) and node in is_open]
        if not again:
            break
        services.clock.pause(SECOND_LOOK_S)
        for node, (reading, at) in _look(services, asked.sessions, again).items():
            since = rates(first[node].reading, asked.came_at(node), reading, at, least_s=0.9 * SECOND_LOOK_S)
            found[node] = replace(first[node], rates=since)
    return replace(snapshot, answers=tuple(found.get(one.node, one) for one in snapshot.answers))


def _has_moved(answer: Measured) -> bool:
    """Whether the rates are known. Counters that a hypervisor or a container renews each second may stand still."""
    return isinstance(answer.rates, Rates) and not isinstance(answer.rates.ut_pct, Unknown)


def _look(
    services: Services, sessions: Sessions, nodes: Sequence[NodeName]
) -> dict[NodeName, tuple[Reading, datetime]]:
    """The readings of the nodes that answer, with the times when they came. The others are closed."""
    frames: dict[NodeName, Frame] = {}
    found: dict[NodeName, tuple[Reading, datetime]] = {}
    nonce = random_hex()
    request = probe_request(services.probe_script, nonce)
    for node in nodes:
        frames[node] = Frame(nonce)
        sessions.set_deadline(node, services.answer_within_s)
        sessions.send(node, request)
    while frames:
        event = sessions.next(services.answer_within_s)
        if event is None or event.node not in frames:
            continue
        told = event if isinstance(event, Closed) else frames[event.node].feed(event.text)
        match told:
            case None:
                continue
            case Answered(sections=sections):
                found[event.node] = parse_reading(sections), services.clock.now()
                sessions.set_deadline(event.node, None)
            case Garbled(reason=reason) | Closed(reason=reason):
                sessions.close(event.node, fault=reason)
            case _:
                assert_never(told)
        del frames[event.node]
    return found
