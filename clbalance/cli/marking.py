"""What `drain` and `resume` share: the nodes must be named, each tells how it went."""

import getpass
import time
from dataclasses import dataclass

from clbalance.cli.durations import parse_duration
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import workplace
from clbalance.engine.agent_wire import encode
from clbalance.engine.mark import mark
from clbalance.errors import ExitCode, UsageError
from clbalance.nodes import fold
from clbalance.render import talk

_MAX_REASON = 200  # characters; the whole mark must fit into 1 KiB


def drain_request(reason: str, lasting: str | None) -> bytes:
    """The agent's `drain`; `lasting` is a duration as typed."""
    if not reason.strip() or len(reason) > _MAX_REASON or not reason.isprintable():
        raise UsageError(f"`--reason` cannot be {reason[:40]!r}", hint=f"1 to {_MAX_REASON} printable characters")
    until = None if lasting is None else time.time() + parse_duration(lasting, "`--for`")
    return encode("drain", reason=reason, by=_user(), until=until)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a verb speaks of what it does."""

    example: str
    """What to type where no nodes were named."""
    done: str
    not_root: str
    """What somebody who is not root on the nodes should know."""


def mark_nodes(nodes: NodeOptions, ssh: SshOptions, screen: Screen, request: bytes, wording: Wording) -> int:
    """Send `request` to the nodes and say what became of it."""
    if not nodes.names_nodes:
        raise UsageError("no nodes named", hint=f"`{wording.example}`, or with `-g GROUP`")
    place = workplace(nodes, ssh, screen)
    with place.world() as world:
        marked = mark(world, place.candidates.nodes, request)
    done = [one for one in marked if one.done]
    if done:
        screen.say(talk.note(f"{wording.done} {fold(one.node for one in done)}"))
    if any(one.uid for one in done):
        screen.say(talk.note(f"you are not root there: {wording.not_root}"))
    for one in marked:
        if one.told:
            say = talk.note if one.done else talk.warning
            screen.say(say(f"{one.node}: {one.told}"))
    return ExitCode.DONE if len(done) == len(marked) else ExitCode.SOME_NODES_FAILED


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
