"""A node that owes an end, and still sends the output before it, is at work and not hung up on."""

import json
from collections.abc import Sequence

import pytest

from clbalance.engine.agent.copies import Copies, Copy, FollowMode, Phase
from clbalance.engine.agent.follow import Follow
from clbalance.engine.agent.multiplexer import AgentMultiplexer
from clbalance.engine.agent.sessions import Agents
from clbalance.model import NodeName
from clbalance.model.job_record import Exited
from tests.engine.services import Notes, ScriptedAgent, world_of
from tests.scripted import HangUp, Later

A, LABEL = NodeName("a"), "ab.1"
EVERY_S, PIECES = 3.0, 20


def node(silent_s: float) -> ScriptedAgent:
    """Sends a piece every few seconds; its end comes `silent_s` after the last one."""

    class Slow(ScriptedAgent):
        def __call__(self, text: bytes) -> Sequence[bytes | HangUp | Later]:  # type: ignore[override]
            if text.startswith(b"exec python3") or json.loads(text)["op"] != "follow":
                return super().__call__(text)
            from_offset = json.loads(text)["stdout"]
            piece = {"ev": "output", "job": LABEL, "stream": "stdout", "data": "eA=="}
            pieces = [
                Later(EVERY_S * (n - from_offset), self.line({**piece, "offset": n}))
                for n in range(from_offset, PIECES)
            ]
            end_s = EVERY_S * (PIECES - 1 - from_offset) + silent_s
            ended = {"ev": "ended", "job": LABEL, "end": {"kind": "exited", "rc": 0}, "seconds": 1.5}
            return [*pieces, Later(end_s, self.line(ended))]

    return Slow()


@pytest.mark.parametrize("shared", [False, True], ids=["own session", "shared session"])
@pytest.mark.parametrize(("silent_s", "calls"), [(5.0, 1), (7.0, 2)], ids=["in time", "late"])
def test_each_piece_renews_the_time_for_the_end(shared: bool, silent_s: float, calls: int) -> None:
    services = world_of({"a": node(silent_s)})
    assert isinstance(services.listener, Notes)
    with services.transport.sessions() as sessions:
        agents = Agents(sessions, services)
        channel = AgentMultiplexer(agents).channel(LABEL) if shared else agents
        copies = Copies(LABEL, [Copy(A, 0, Phase.STARTING)])
        follow = Follow(channel, copies, services, services.listener, FollowMode(streams=("stdout",)), limit_s=None)
        follow.call_all()
        channel.listen(follow.on_event, lambda: follow.is_over() or follow.is_in_touch)
        channel.expect(A, "end", within_s=6.0)
        channel.listen(follow.on_event, lambda: follow.is_over() or len(services.transport.opened) > 1, 100.0)  # type: ignore[attr-defined]
        assert services.listener.printed == {(A, "stdout"): b"x" * PIECES}
        assert services.transport.opened == [A] * calls  # type: ignore[attr-defined]
    if calls == 1:
        assert [outcome.end for outcome in copies.outcomes()] == [Exited(rc=0)]
