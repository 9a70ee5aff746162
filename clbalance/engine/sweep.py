"""Probe a set of nodes at once. Each node answers or is silent with a reason; none delays another."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from clbalance.engine.services import Services
from clbalance.model import Measured, NodeName, Silent, Snapshot, Unknown
from clbalance.ports import Sessions
from clbalance.probe.frame import Frame, PendingAnswer, probe_request
from clbalance.random_hex import random_hex

if TYPE_CHECKING:  # imported once nodes have been asked
    from clbalance.engine.answers import RememberedNodes
    from clbalance.engine.open_sweep import OpenSweep

_MOST_LOOKED_AT_TWICE = 256
"""Sessions kept open for a second look: each is an ssh here, of some megabytes, and a login there."""


def sweep(services: Services, sessions: Sessions, nodes: Sequence[NodeName], *, keep_open: int = 0) -> Snapshot:
    """The snapshot of `nodes`. The first `keep_open` nodes that answer keep their session."""
    asked = ask(services, sessions, nodes, keep_open=keep_open)
    asked.listen()
    return asked.snapshot()


def ask(
    services: Services,
    sessions: Sessions,
    nodes: Sequence[NodeName],
    *,
    keep_open: int = 0,
    keep_if: Callable[[Measured], bool] = lambda _: True,
    unasked: Mapping[NodeName, Silent] | None = None,
    first: Sequence[NodeName] = (),
    earlier: "RememberedNodes | None" = None,
) -> "OpenSweep":
    """Ask `nodes` for their load. Sessions are kept as in `sweep`, but only of answers that `keep_if` accepts. Where
    nodes are asked through gateways, none is kept.

    `unasked`: nodes that are not asked, with the answer that they have as long as that is so. `first`: those that are
    asked before the others. `earlier`: what the store has of the nodes, if it was read already.
    """
    keep_open = 0 if sessions.through_gateways else keep_open
    asked = [node for node in nodes if node not in unasked] if unasked else nodes
    asked = [*first, *(node for node in asked if node not in first)] if first else asked
    if services.slurm is not None:
        services.slurm.ask()
    pending = send_probes(services, sessions, asked, last=keep_open == 0 and not sessions.keeps)
    # Import only now: that takes about as long as the connections, which are being made meanwhile
    # (docs/design/startup.md).
    from clbalance.engine.open_sweep import OpenSweep

    return OpenSweep(
        services,
        sessions,
        nodes,
        pending,
        keep_open=keep_open,
        keep_if=keep_if,
        unasked=unasked or {},
        earlier=earlier,
    )


def send_probes(
    services: Services, sessions: Sessions, nodes: Iterable[NodeName], *, last: bool
) -> dict[NodeName, PendingAnswer]:
    """Open a session on each node, and ask for its load. `last`: nothing else is asked.

    All nodes are sent the same bytes, which thousands of sessions then share. Each answer comes over its node's own
    session, so that the nonce need only be new to each node. But programs of the site may print what other users have
    written, who must not learn the nonce on another node: with them, each node has its own.
    """
    nonce = random_hex()
    request = probe_request(services.probe_script, nonce)
    pending = {}
    site, now_s = services.site, services.clock.now().timestamp()
    for node in nodes:
        sessions.open(node, within_s=services.answer_within_s)
        if site is not None:
            nonce = random_hex()
            request = probe_request(services.probe_script, nonce, site.sections(node, now_s))
        sessions.send(node, request, last=last)
        pending[node] = PendingAnswer(Frame(nonce), services.clock.monotonic())
    return pending


def take_snapshot(
    services: Services,
    nodes: Sequence[NodeName],
    *,
    draft: Callable[[Snapshot], None] | None = None,
    look_twice: bool = False,
) -> Snapshot:
    """A fresh snapshot of `nodes`. `draft` is called with the answers so far if some nodes are late.

    `look_twice`: nodes without an earlier reading to compare with are asked twice, so that they have rates; where they
    are thousands, the first of them.
    """
    with services.transport.sessions() as sessions:
        keep_open = min(services.session_limit // 2, _MOST_LOOKED_AT_TWICE) if look_twice else 0
        asked = ask(services, sessions, nodes, keep_open=keep_open, keep_if=_has_no_rates)
        if draft is not None:
            from clbalance.policy.placement.quorum import ANY_NODE  # deferred import: docs/design/startup.md

            asked.listen(ANY_NODE)
            if not asked.is_over:
                draft(asked.snapshot(final=False))
        asked.listen()
        snapshot = asked.snapshot()
        if look_twice:
            from clbalance.engine.second_look import with_rates  # deferred import: docs/design/startup.md

            snapshot = with_rates(services, asked, snapshot)
        for node in sessions.open_nodes():  # all have answered
            sessions.release(node)
        return snapshot


def _has_no_rates(answer: Measured) -> bool:
    return isinstance(answer.rates, Unknown)
