"""What `drain` and `resume` share: the nodes must be named, each tells how it went."""

import getpass
import time

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
        raise UsageError("`--reason` cannot be that", hint=f"1 to {_MAX_REASON} printable characters")
    until = None if lasting is None else time.time() + parse_duration(lasting, "`--for`")
    return encode("drain", reason=reason, by=_user(), until=until)


def mark_nodes(nodes: NodeOptions, ssh: SshOptions, screen: Screen, request: bytes, *, done_word: str) -> int:
    """Send `request` to the nodes and say what became of it, in `done_word` where it worked."""
    if not nodes.names_nodes:
        raise UsageError("no nodes named", hint="`clbalance drain node[1-3] --reason TEXT`, or with `-g GROUP`")
    place = workplace(nodes, ssh, screen)
    with place.world() as world:
        marked = mark(world, place.candidates.nodes, request)
    done = [one for one in marked if one.done]
    if done:
        screen.say(talk.note(f"{done_word} {fold(one.node for one in done)}"))
    if any(one.uid for one in done):
        screen.say(
            talk.note("you are not root there: your marks bind you alone, unless the node lists you as an admin")
        )
    for one in marked:
        if one.told:
            screen.say(
                talk.warning(f"{one.node}: {one.told}") if not one.done else talk.note(f"{one.node}: {one.told}")
            )
    return ExitCode.DONE if len(done) == len(marked) else ExitCode.SOME_NODES_FAILED


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
