"""The first word."""

import contextlib
import os
import signal
import stat
import sys

from clbalance.node.agent.limits import PROTOCOL
from clbalance.node.agent.wire import Channel
from clbalance.node.agent.words import shown


def find_base() -> bytes:
    """The folder for everyone's jobs: the lab's own, else an administrator's, else the one for lasting temporary files.

    The environment is the node's: this process was started by its sshd, and a request cannot change it.
    """
    named = os.environb.get(b"CLBALANCE_NODE_DIR")
    if named:
        return named
    made = b"/var/lib/clbalance"
    try:
        facts = os.lstat(made)
    except OSError:
        return b"/var/tmp"  # what is in it is opened without links and checked for its owner
    shared = stat.S_ISDIR(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o1777
    return made if shared and facts.st_uid == 0 else b"/var/tmp"


def greet(base: bytes) -> Channel:
    """Say hello before the sections below are even compiled (engine/agent_wire.py): the client answers meanwhile."""
    with contextlib.suppress(OSError):
        os.close(3)  # this text, where the shell had it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the client, which then asks us
    os.umask(0o022)
    channel = Channel(sys.argv[1], 0, 1)
    version = "%d.%d.%d" % sys.version_info[:3]
    channel.say("hello", protocol=PROTOCOL, python=version, uid=os.geteuid(), node_dir=shown(base))
    channel.flush()
    return channel


if __name__ == "__main__":
    BASE = find_base()
    CHANNEL = greet(BASE)
