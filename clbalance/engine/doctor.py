"""The part of `clbalance doctor` that talks to nodes: ask each for its setup, and then for its time.

The clock is asked for separately, over a session that is already open. So the measured time includes neither
connecting nor a section of the checkup that hangs.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import assert_never

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Silent, Unknown
from clbalance.model.checkup import Checkup, Examination, Examined
from clbalance.ports import Closed, Sessions
from clbalance.probe.checkup import CLOCK_QUESTION, parse_checkup, parse_clock
from clbalance.probe.frame import Answered, Frame, Garbled, probe_request


@dataclass(frozen=True, slots=True, kw_only=True)
class _PendingCheckup:
    """The answer that we wait for. If `checkup` is set, only the clock is missing."""

    frame: Frame
    at: datetime
    checkup: Checkup | None = None


def check_up(services: Services, nodes: Sequence[NodeName], script: str) -> tuple[Examination, ...]:
    """Send `script` to all nodes at once. A node that does not answer before its deadline is silent."""
    found: dict[NodeName, Examination] = {}
    try:
        with services.transport.sessions() as sessions:
            asked: dict[NodeName, _PendingCheckup] = {}
            for node in nodes:
                sessions.open(node, within_s=services.answer_within_s)
                asked[node] = _ask(services, sessions, node, script)
            services.listener.asked(len(asked))
            while asked:
                _next_event(services, sessions, asked, found)
                services.listener.awaiting(asked.keys())
    finally:
        services.listener.done()
    return tuple(found[node] for node in nodes)


def _ask(
    services: Services, sessions: Sessions, node: NodeName, script: str, checkup: Checkup | None = None
) -> _PendingCheckup:
    nonce = secrets.token_hex(16)
    at = services.clock.now()
    sessions.send(node, probe_request(script, nonce), last=checkup is not None)
    return _PendingCheckup(frame=Frame(nonce), at=at, checkup=checkup)


def _next_event(
    services: Services,
    sessions: Sessions,
    asked: dict[NodeName, _PendingCheckup],
    found: dict[NodeName, Examination],
) -> None:
    """Handle the next event. A node that is finished moves from `asked` to `found`."""
    event = sessions.next(1.0)
    if event is None or event.node not in asked:
        return
    node, one = event.node, asked[event.node]
    heard = event if isinstance(event, Closed) else one.frame.feed(event.text)
    match heard:
        case None:
            return
        case Answered(sections=sections):
            if one.checkup is None:
                asked[node] = _ask(services, sessions, node, CLOCK_QUESTION, parse_checkup(sections))
                return
            offset = parse_clock(sections.get("clock"), asked_at=one.at, heard_at=services.clock.now())
            found[node] = Examined(node=node, checkup=one.checkup, clock_offset_s=offset)
        case Closed(cause=cause, reason=reason):
            found[node] = _silent(node, one, cause, reason)
        case Garbled(reason=reason):
            found[node] = _silent(node, one, Cause.GARBLED, reason)
        case _:
            assert_never(heard)
    sessions.close(node)
    del asked[node]
    services.listener.answered(node)


def _silent(node: NodeName, one: _PendingCheckup, cause: Cause, reason: str) -> Examination:
    """A checkup that arrived before the session ended is kept; only the clock is unknown."""
    if one.checkup is None:
        return Silent(node=node, cause=cause, reason=reason)
    return Examined(node=node, checkup=one.checkup, clock_offset_s=Unknown(reason=cause.because(reason)))
