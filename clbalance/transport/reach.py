"""The transport, by ssh or to this machine itself, and the number of sessions that may be open at once."""

import contextlib
import resource
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from functools import partial
from typing import TYPE_CHECKING

from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.nodeset import check_user_name
from clbalance.ports import Link, Sftp
from clbalance.transport.ssh_command import REMOTE_COMMAND, gateway_options, ssh_argv, ssh_call
from clbalance.transport.ssh_failure import Failure

if TYPE_CHECKING:  # imported by calls that reach nodes, and by those that share: docs/design/startup.md
    from ClusterShell.Event import EventHandler
    from ClusterShell.NodeSet import NodeSet

    from clbalance.transport.clush import ClushSessions
    from clbalance.transport.session_client import SessionWorker
    from clbalance.transport.sharing.connections import SharedConnections
    from clbalance.transport.tree.sessions import TreeSessions
    from clbalance.transport.tree.topology import Routes

# With `exec`, the login shell (csh, tcsh, fish, ...) has nothing else to parse.
_SHELL = "exec /bin/sh -s"
# In place of ssh, where a node that is this machine needs none: the other nodes fail, each by itself.
_NO_SSH = "/bin/sh -c 'echo ssh is not on the PATH >&2; exit 255'"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshTransport:
    """Reaches nodes by OpenSSH, `path`. `options`: the user's ssh options, quoted as in a shell; they override ours."""

    path: str = "ssh"
    options: str = ""
    user: str = ""
    connect_timeout_s: float = 10.0
    fanout: int = 64
    here: frozenset[NodeName] = frozenset()
    """Nodes that are this machine and are reached without ssh."""
    keep_s: float | None = None
    """How long a connection is kept for the next call; None: it ends with its session."""
    routes: "Routes | None" = None
    """To nodes that are asked through gateways. None: all are asked directly."""
    gateway_python: str = "python3"
    lacks: set[str] = field(default_factory=set)
    """Options that this ssh turned out to be too old for."""
    unshared: set[NodeName] = field(default_factory=set)
    """Nodes to which a link by a shared connection (ControlMaster) has failed."""
    begun: "list[ClushSessions]" = field(default_factory=list, repr=False)
    """Sessions that connect already, for the next caller of `sessions`."""

    def as_user(self, user: str) -> "SshTransport":
        """This transport with another login name."""
        return replace(self, user=user, begun=[])

    @contextlib.contextmanager
    def connecting(self, nodes: Iterable[NodeName]) -> Iterator[None]:
        """Begin to connect to nodes that the next sessions will open: the block imports what it needs meanwhile.

        Not where connections are shared: those that stand take no time, and are taken for dead if nothing is asked.
        Nor where there are gateways.
        """
        if self.keep_s or self.routes is not None:
            yield
            return
        with self._direct_sessions() as sessions:
            for node in nodes:
                sessions.begin(node)
            self.begun.append(sessions)
            try:
                yield
            finally:
                self.begun.clear()

    def sessions(self) -> "ClushSessions | TreeSessions":
        """New sessions, or those that `connecting` has begun.

        `UsageError` if `user` is no user name, or there is no ssh program and no node is here.
        """
        if self.begun:
            return self.begun.pop()
        if self.routes is None:
            return self._direct_sessions()
        from clbalance.transport.tree.question import GatewaySettings  # few clusters need gateways
        from clbalance.transport.tree.sessions import TreeSessions

        connect_s = max(1, round(self.connect_timeout_s))
        info = {
            "ssh_path": self.path,
            "ssh_options": gateway_options(self.options, self.lacks),
            "ssh_user": self.user,
            "connect_timeout": connect_s,
            "fanout": self.fanout,
        }
        gateways = GatewaySettings(
            routes=self.routes, argv=self._argv, python=self.gateway_python, info=info, connect_timeout_s=connect_s
        )
        return TreeSessions(self._direct_sessions(), gateways)

    def _argv(self, node: str, command: str, *, more: Sequence[str] = (), subsystem: bool = False) -> list[str]:
        """The argv of a login without a terminal."""
        return ssh_argv(
            node,
            command,
            path=self.path,
            options=self.options,
            more=more,
            user=self.user,
            connect_timeout_s=self.connect_timeout_s,
            lacks=self.lacks,
            subsystem=subsystem,
        )

    def _direct_sessions(self) -> "ClushSessions":
        from clbalance.transport.clush import ClushSessions
        from clbalance.transport.session_state import Retries

        self._check(has_other_ways=bool(self.here))
        info = {
            "ssh_path": self.path,
            "ssh_lacks": self.lacks,
            "ssh_options": self.options,
            "ssh_user": self.user,
            "connect_timeout": self.connect_timeout_s,
        }
        shared = self._shared()
        return ClushSessions(
            partial(self._worker, shared),
            info=info,
            fanout=self.fanout,
            capacity=raise_file_limit(),
            retries=Retries(connect_timeout_s=self.connect_timeout_s),
            connected=lambda: self.here if shared is None else self.here | shared.nodes(),
        )

    def terminal(self, node: NodeName, command: str) -> list[str]:
        """The argv of a second login with a terminal, with the same options."""
        if node in self.here:
            return ["/bin/sh", "-c", command]
        return ssh_argv(
            node,
            command,
            path=self.path,
            options=self.options,
            user=self.user,
            connect_timeout_s=self.connect_timeout_s,
            lacks=self.lacks,
            terminal=True,
        )

    def link(self, node: NodeName, command: str, *, within_s: float, idle_s: float, subsystem: bool = False) -> Link:
        """A pipe to `command` on `node`."""
        from clbalance.transport.link import ProcessLink  # most verbs need none

        if node in self.here:
            argv = ["/bin/sh", "-c", command]
        else:
            self._check(has_other_ways=bool(self.here))
            more = ["-oControlPath=none"] if node in self.unshared else []
            argv = self._argv(node, command, more=more, subsystem=subsystem)

        def failed(failure: Failure) -> None:
            if failure.cause is Cause.MUX:
                self.unshared.add(node)
            elif failure.cause is Cause.LOCAL and failure.again:
                self.lacks.add(REMOTE_COMMAND)

        return ProcessLink(node, argv, within_s=within_s, idle_s=idle_s, failed=failed)

    def sftp(self, connect: Callable[..., Link]) -> Sftp:
        """SFTP over a link."""
        from clbalance.transport.sftp import open_sftp  # paramiko takes 0.2 s to import

        return open_sftp(connect)

    def _check(self, *, has_other_ways: bool) -> None:
        """Raise `UsageError` if nodes cannot be reached by ssh, or `user` is no user name."""
        if not has_other_ways and ssh_program(self.path) is None:
            raise UsageError(f"`{self.path}` is not on the PATH", hint="install OpenSSH's client (`openssh-client`)")
        if self.user:
            check_user_name(self.user)

    def _shared(self) -> "SharedConnections | None":
        if not self.keep_s:
            return None
        from clbalance.transport.sharing.connections import runtime_folder, shared_connections

        return shared_connections(
            runtime_folder(), keep_s=self.keep_s, path=self.path, options=self.options, user=self.user
        )

    def _worker(
        self, shared: "SharedConnections | None", node: "NodeSet", handler: "EventHandler", no_sharing: bool
    ) -> "SessionWorker":
        from clbalance.transport.session_client import LocalWorker, SshWorker

        if str(node) in self.here:
            return LocalWorker(node, handler, command="/bin/sh -s", stderr=True)
        if self.here and ssh_program(self.path) is None:
            return LocalWorker(node, handler, command=_NO_SSH, stderr=True)
        return SshWorker(node, handler, command=_SHELL, stderr=True, shared=shared, no_sharing=no_sharing)


def ssh_program(path: str) -> str | None:
    """The file of the program of `ssh.path`; None if there is none."""
    words = ssh_call(path, "")
    return shutil.which(words[0]) if words else None


def this_node() -> NodeName:
    """The name of this machine if no cluster is configured."""
    return NodeName(socket.gethostname().partition(".")[0] or "localhost")


# The number of sessions that this process may hold open.
#
# One `EMFILE` in ClusterShell's loop would end the whole fan-out. So the soft limit on open files is raised to the hard
# limit, and the number of sessions is limited by it.

_FDS_PER_SESSION = 4  # stdin, stdout, stderr, pidfd
_FDS_WHILE_STARTING = 8  # both ends of the pipes of a session that is being started
_RESERVE = 48  # the interpreter, the database, ClusterShell's own pipes, output files


def raise_file_limit() -> int:
    """Raise the soft limit on open files to the hard limit. The number of sessions that fit then, at least 1."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
        except (OSError, ValueError):  # forbidden in some containers: keep the soft limit
            pass
    if soft == resource.RLIM_INFINITY:
        return 65536
    return max(1, (soft - _RESERVE - _FDS_WHILE_STARTING) // _FDS_PER_SESSION)
