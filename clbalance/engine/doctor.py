"""The part of `clbalance doctor` that talks to nodes: ask each for its setup, then for its load, and then for its time.

The load is that of a usual probe. The clock is asked for last, over a session that is already open. So the measured
time includes neither connecting nor a section that hangs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import assert_never

from clbalance.engine.services import Services
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName, Reading, Silent, Unknown
from clbalance.model.checkup import Checkup, Examination, Examined
from clbalance.model.plugins import NO_SITE_READING, SiteReading
from clbalance.ports import Closed, Sessions
from clbalance.probe.checkup import CLOCK_QUESTION, parse_checkup, parse_clock
from clbalance.probe.frame import Answered, Frame, Garbled, Section, probe_request
from clbalance.probe.reading import parse_reading
from clbalance.random_hex import random_hex


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answers:
    """What a node has answered so far, in the order of the questions."""

    checkup: Checkup | None = None
    reading: Reading | None = None
    site: SiteReading = NO_SITE_READING


@dataclass(frozen=True, slots=True, kw_only=True)
class _PendingAnswer:
    """The answer that we wait for, and those before it."""

    frame: Frame
    at: datetime
    before: _Answers = field(default_factory=_Answers)


def check_up(services: Services, nodes: Sequence[NodeName], script: str) -> tuple[Examination, ...]:
    """Send `script` to all nodes at once. A node that does not answer before its deadline is silent."""
    found: dict[NodeName, Examination] = {}
    try:
        with services.transport.sessions() as sessions:
            asked: dict[NodeName, _PendingAnswer] = {}
            for node in nodes:
                sessions.open(node, within_s=services.answer_within_s)
                asked[node] = _ask(services, sessions, node, script, _Answers())
            services.listener.asked(len(asked))
            said: dict[NodeName, Mapping[str, Section]] = {}
            while asked:
                _next_event(services, sessions, asked, found, said)
                services.listener.awaiting(asked.keys())
    finally:
        services.listener.done()
    if services.site is not None:
        # A program that did not end in time before, and does now, is run by every probe again.
        services.site.remember(said, services.clock.now().timestamp())
    return tuple(found[node] for node in nodes)


def _ask(services: Services, sessions: Sessions, node: NodeName, script: str, before: _Answers) -> _PendingAnswer:
    nonce = random_hex()
    at = services.clock.now()
    programs = "" if services.site is None else services.site.all_sections()
    sessions.send(node, probe_request(script, nonce, programs), last=before.reading is not None)
    return _PendingAnswer(frame=Frame(nonce), at=at, before=before)


def _next_event(
    services: Services,
    sessions: Sessions,
    asked: dict[NodeName, _PendingAnswer],
    found: dict[NodeName, Examination],
    said: dict[NodeName, Mapping[str, Section]],
) -> None:
    """Handle the next event. A node that is finished moves from `asked` to `found`. `said`: its answer to the probe."""
    event = sessions.next(1.0)
    if event is None or event.node not in asked:
        return
    node, one = event.node, asked[event.node]
    heard = event if isinstance(event, Closed) else one.frame.feed(event.text)
    match heard:
        case None:
            return
        case Answered(sections=sections):
            if one.before.checkup is not None and one.before.reading is None:
                said[node] = sections
            after = _after_answer(services, sessions, node, one, sections)
            if isinstance(after, _PendingAnswer):
                asked[node] = after
                return
            found[node] = after
        case Closed(cause=cause, reason=reason):
            found[node] = _cut_short(node, one.before, cause, reason)
        case Garbled(reason=reason):
            found[node] = _cut_short(node, one.before, Cause.GARBLED, reason)
        case _:
            assert_never(heard)
    sessions.close(node)
    del asked[node]
    services.listener.answered(node)


def _after_answer(
    services: Services, sessions: Sessions, node: NodeName, one: _PendingAnswer, sections: Mapping[str, Section]
) -> _PendingAnswer | Examined:
    """The next question, which is sent; or all answers, after the last one."""
    checkup, reading = one.before.checkup, one.before.reading
    if checkup is None:
        return _ask(services, sessions, node, services.probe_script, _Answers(checkup=parse_checkup(sections)))
    if reading is None:
        site = _site_reading(services, node, sections)
        before = _Answers(checkup=checkup, reading=parse_reading(sections), site=site)
        return _ask(services, sessions, node, CLOCK_QUESTION, before)
    offset_s = parse_clock(sections.get("clock"), asked_at=one.at, heard_at=services.clock.now())
    return Examined(node=node, checkup=checkup, reading=reading, clock_offset_s=offset_s, site=one.before.site)


def _site_reading(services: Services, node: NodeName, sections: Mapping[str, Section]) -> SiteReading:
    if services.site is None:
        return NO_SITE_READING
    return services.site.read(node, sections, services.clock.now().timestamp())


def _cut_short(node: NodeName, before: _Answers, cause: Cause, reason: str) -> Examination:
    """Answers that arrived before the session ended are kept; the others are unknown."""
    if before.checkup is None:
        return Silent(node=node, cause=cause, reason=reason)
    unknown = Unknown(reason=cause.because(reason))
    return Examined(
        node=node,
        checkup=before.checkup,
        reading=before.reading or unknown,
        clock_offset_s=unknown,
        site=before.site,
    )
