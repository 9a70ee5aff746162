"""The two ways to nodes: ssh, and this machine itself. Both open `/bin/sh -s` and leave the rest to `clush`."""

import shlex
import shutil
import socket
from dataclasses import replace

from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import NodeSet

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.nodes import check_user_name
from clbalance.transport.clush import ClushSessions, Retries
from clbalance.transport.file_limit import raise_file_limit
from clbalance.transport.session_client import LocalWorker, SessionWorker, SshWorker, ssh_argv
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
    return Failure(cause=Cause.LOST, why=said[-1] if said else f"the local shell ended with {rc}")


def this_node() -> NodeName:
    """What this machine is called where no cluster is configured."""
    return NodeName(socket.gethostname().partition(".")[0] or "localhost")
