"""Probe a set of nodes at once. Each node answers or is silent with a reason; none delays another."""

import secrets
from collections.abc import Iterable, Sequence

from clbalance.engine.services import Services
from clbalance.model import Answer, Measured, NodeName, Snapshot
from clbalance.ports import Sessions
from clbalance.probe.frame import Frame, PendingAnswer, probe_request


def sweep(
    services: Services, sessions: Sessions, nodes: Sequence[NodeName], *, keep_open: int = 0, placing: bool = False
) -> Snapshot:
    """The snapshot of `nodes`. The first `keep_open` nodes that answer keep their session.

    `placing`: when only suspects have not answered yet, give them up soon (docs/design/suspect.md).
    """
    pending = _ask_all(services, sessions, nodes, last=keep_open == 0)
    # Import and recall only now: that takes about as long as the connections, which are being made meanwhile
    # (docs/design/startup.md).
    from clbalance.engine.answers import LISTEN_S, give_up, listens_for_s, next_answer, recall, remember, with_suspects

    answers: dict[NodeName, Answer] = {}
    services.listener.asked(len(nodes))
    try:
        earlier = recall(services, nodes)
        measured_at: float | None = None
        while pending:
            within_s = listens_for_s(services, pending, earlier, measured_at) if placing else LISTEN_S
            if within_s <= 0:
                answers |= give_up(services, sessions, pending)
                break
            answer = next_answer(services, sessions, pending, earlier, within_s)
            services.listener.awaiting(pending.keys())
            if answer is None:
                continue
            answers[answer.node] = answer
            services.listener.answered(answer.node)
            if isinstance(answer, Measured):
                measured_at = services.clock.monotonic()
            if isinstance(answer, Measured) and keep_open:
                _keep_or_close(sessions, answer.node, kept=len(sessions.open_nodes()) - len(pending), most=keep_open)
    finally:
        services.listener.done()
    taken_at = services.clock.now()
    remember(services, taken_at, answers.values(), earlier)
    return Snapshot(taken_at=taken_at, answers=with_suspects(services, taken_at, [answers[n] for n in nodes], earlier))


def _ask_all(
    services: Services, sessions: Sessions, nodes: Iterable[NodeName], *, last: bool
) -> dict[NodeName, PendingAnswer]:
    pending = {}
    for node in nodes:
        nonce = secrets.token_hex(16)
        sessions.open(node, within_s=services.answer_within_s)
        sessions.send(node, probe_request(services.probe_script, nonce), last=last)
        pending[node] = PendingAnswer(Frame(nonce), services.clock.monotonic())
    return pending


def _keep_or_close(sessions: Sessions, node: NodeName, kept: int, most: int) -> None:
    """A kept session loses its deadline: that was for the answer."""
    if kept > most:
        sessions.close(node)
    else:
        sessions.set_deadline(node, None)


def take_snapshot(services: Services, nodes: Sequence[NodeName]) -> Snapshot:
    """A fresh snapshot of `nodes`."""
    with services.transport.sessions() as sessions:
        return sweep(services, sessions, nodes)
