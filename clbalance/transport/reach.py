"""The two ways to nodes, ssh and this machine itself, and how many sessions may be open at once."""

import resource
import shlex
import shutil
import socket
from dataclasses import replace

from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import NodeSet

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.nodeset import check_user_name
from clbalance.transport.clush import ClushSessions
from clbalance.transport.session_client import LocalWorker, SessionWorker, SshWorker, ssh_argv
from clbalance.transport.session_state import Retries
from clbalance.transport.ssh_failure import Failure

# `exec`, so that csh, tcsh and fish parse nothing else; they all know these three words.
_SHELL = "exec /bin/sh -s"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTransport:
    """Nodes by OpenSSH. `options` are the user's, in the shell's quoting; they override ours."""

    options: str = ""
    user: str = ""
    connect_timeout_s: float = 10.0
    fanout: int = 64
    here: frozenset[NodeName] = frozenset()
    """Nodes that are this machine, and need no ssh."""

    def as_user(self, user: str) -> "SshTransport":
        """The same ways and options for another login."""
        return replace(self, user=user)

    def sessions(self) -> ClushSessions:
        """Raises `UsageError` where there is no ssh program."""
        if shutil.which("ssh") is None:
            raise UsageError("`ssh` is not on the PATH", hint="install OpenSSH's client (`openssh-client`)")
        if self.user:
            check_user_name(self.user)
        info = {
            "ssh_options": self.options,
            "ssh_user": self.user,
            "connect_timeout": self.connect_timeout_s,
        }
        return ClushSessions(
            self._worker,
            info=info,
            fanout=self.fanout,
            capacity=raise_file_limit(),
            retries=Retries(connect_timeout_s=self.connect_timeout_s),
        )

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """A second login beside the session, by the same options."""
        if node in self.here:
            return ["/bin/sh", "-c", command]
        return ssh_argv(
            node,
            command,
            path="ssh",
            options=shlex.split(self.options),
            user=self.user,
            connect_timeout_s=self.connect_timeout_s,
            terminal=True,
        )

    def _worker(self, node: NodeSet, handler: EventHandler, no_sharing: bool) -> SessionWorker:
        if str(node) in self.here:
            return LocalWorker(node, handler, command="/bin/sh -s", stderr=True)
        return SshWorker(node, handler, command=_SHELL, stderr=True, no_sharing=no_sharing)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTransport:
    """This machine, under whatever node name it is asked by."""

    fanout: int = 64

    def as_user(self, user: str) -> "LocalTransport":
        """Nobody logs in."""
        del user
        return self

    def sessions(self) -> ClushSessions:
        """Sessions whose every node is this machine."""
        return ClushSessions(
            lambda node, handler, _: LocalWorker(node, handler, command="/bin/sh -s", stderr=True),
            info={},
            fanout=self.fanout,
            capacity=raise_file_limit(),
            retries=Retries(tries=1),
            classify_end=_local_end,
        )

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """On this terminal itself."""
        del node
        return ["/bin/sh", "-c", command]


def _local_end(rc: int, stderr: str) -> Failure:
    said = stderr.strip().splitlines()
    return Failure(cause=Cause.LOST, reason=said[-1] if said else f"the local shell ended with {rc}")


def this_node() -> NodeName:
    """What this machine is called where no cluster is configured."""
    return NodeName(socket.gethostname().partition(".")[0] or "localhost")


# How many sessions this process may hold open at once.
#
# One `EMFILE` inside ClusterShell's loop ends the whole fan-out, so the soft limit is raised to the hard one and
# the number of sessions is kept within what it allows.

_FDS_PER_SESSION = 4  # stdin, stdout, stderr, pidfd
_FDS_WHILE_STARTING = 8  # both ends of the pipes of the one being started
_RESERVE = 48  # the interpreter, the database, ClusterShell's own pipes, output files


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard one; the number of sessions that then fit, at least one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # some containers forbid it; the old limit then stands
            pass
    if soft == resource.RLIM_INFINITY:
        return 65536
    return max(1, (soft - _RESERVE - _FDS_WHILE_STARTING) // _FDS_PER_SESSION)
