"""Requests that name no job: drain marks, and what jobs have left on the node."""

import os

from clbalance.node.agent.lease.drains import make_permanent, put_drain, put_proposal, remove_marks
from clbalance.node.agent.protocol import shown
from clbalance.node.agent.session import Session

MYPY = False
if MYPY:
    from typing import Any


def drain(session: Session, request: "dict[str, Any]") -> None:
    """Write or replace this user's drain mark; with `key`, make that proposal permanent."""
    home = session.folder.home_fd
    name = make_permanent(home, request) if request["key"] else put_drain(home, request)
    session.channel.say("drained", path=shown(b"%s/%s" % (session.folder.home, os.fsencode(name))))


def propose(session: Session, request: "dict[str, Any]") -> None:
    """Write a proposal beside this user's drain mark. It ends soon unless it is made permanent."""
    name = put_proposal(session.folder.home_fd, request)
    session.channel.say("drained", path=shown(b"%s/%s" % (session.folder.home, os.fsencode(name))))


def resume(session: Session, request: "dict[str, Any]") -> None:
    """Remove this user's drain marks; with `key`, only that proposal."""
    session.channel.say("resumed", was=remove_marks(session.folder.home_fd, request["key"]))


def reap(session: Session, request: "dict[str, Any]") -> None:
    """Find leftovers of this user, and remove them with `apply`. Only `clbalance reap` sends both modules."""
    from clbalance.node.agent.leftovers import own_homes
    from clbalance.node.agent.reap import Reaping

    with own_homes(session.base) as homes:
        reaping = Reaping(homes, request["keep_s"], request["apply"], frozenset(request["keep"]))
        session.channel.say("reaped", **reaping.after(request["after"]))


NODE_REQUESTS = {"propose": propose, "drain": drain, "resume": resume, "reap": reap}
