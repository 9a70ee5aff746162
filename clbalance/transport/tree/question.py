"""One question to many nodes, asked through gateways by ClusterShell's tree mode, in a thread of its own.

All nodes get the same text on standard input, which ends with it. A gateway hands input to the command that it was
given last, and to all nodes of that alike: so there is one question for each connection to a gateway, and no
conversation (docs/design/scale.md).
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ClusterShell.Defaults import Defaults
from ClusterShell.Event import EventHandler
from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from ClusterShell.Propagation import RouteResolvingError
from ClusterShell.Worker.Tree import TreeWorker

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cause, NodeName
from clbalance.ports import Closed, Line, SessionEvent
from clbalance.transport.clustershell_task import task_self, task_terminate, with_tree_mode
from clbalance.transport.session_client import KEPT_STDERR_BYTES, WakeUp
from clbalance.transport.ssh_failure import Failure, classify
from clbalance.transport.tree.gateway import GatewayWorker
from clbalance.transport.tree.topology import Routes

_COMMAND = "exec /bin/sh -s"
_TICK_S = 0.5
_GROOMING_S = 0.2  # how long a gateway collects answers
_SPARE_S = 5.0  # for the start of a gateway's python3, and for what it collects
_MOST_BYTES = 4 << 20  # of a node: a probe's answer is far shorter, and nothing tells a gateway to wait
_LOST = "it ended before the node had answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """How gateways are reached, and what they need to reach nodes."""

    routes: Routes
    argv: Callable[[str, str], list[str]]
    """The command line that runs a command on a gateway."""
    python: str
    """The python3 on gateways that has ClusterShell."""
    info: dict[str, Any]
    """What a gateway is told: options of ssh, its time to connect, its fanout."""
    connect_timeout_s: float

    @property
    def invoke(self) -> str:
        """The command that a gateway runs: also csh understands it. It writes no log to /tmp, as ClusterShell's would.

        A gateway behind it is called by the same name of a python3.
        """
        variables = f"CLUSTERSHELL_GW_LOG_DIR=/dev/null CLUSTERSHELL_GW_PYTHON_EXECUTABLE={self.python}"
        return f"exec env {variables} {self.python} -m ClusterShell.Gateway -Bu"


class Question(EventHandler):  # type: ignore[misc]  # ClusterShell ships no types
    """Asks `nodes`; each answer's lines and its end are handed to `tell`, in the question's thread."""

    def __init__(
        self,
        settings: GatewaySettings,
        nodes: Iterable[NodeName],
        text: bytes,
        *,
        within_s: float,
        tell: Callable[[SessionEvent], None],
    ) -> None:
        self._settings = settings
        self._text = text
        self._within_s = within_s
        self._tell = tell
        self._pending = set(nodes)
        self._errors: dict[NodeName, bytes] = {}
        self._read_bytes: Counter[NodeName] = Counter()
        self._failures: dict[str, Failure] = {}
        """Of gateways."""
        self._last_failure = Failure(cause=Cause.LOST, reason="the gateways have ended")
        self._is_over = False
        self._alarm = WakeUp(handler=self, autoclose=True)
        self._thread = threading.Thread(target=self._run, name="clbalance-gateways", daemon=True)

    def start(self) -> None:
        """Ask."""
        self._thread.start()

    def end(self) -> None:
        """Ask no further; nothing more is told. In any thread."""
        self._is_over = True
        self._alarm.wake()

    def join(self, within_s: float) -> None:
        """Wait until its processes have ended."""
        self._thread.join(within_s)

    def _run(self) -> None:
        try:
            self._ask()
        except BaseException as error:  # noqa: BLE001 - whatever a gateway has sent: its nodes must end
            self._last_failure = Failure(cause=Cause.GARBLED, reason=str(error) or type(error).__name__)
        finally:
            task_terminate()
            for node in list(self._pending):
                self._close(node, self._last_failure)

    def _ask(self) -> None:
        with_tree_mode()
        self._task = task = task_self(Defaults([]))  # its `defaults.conf` can name a Python module to import
        for stream in ("stdout_msgtree", "stderr_msgtree"):
            task.set_default(stream, False)  # it would keep every line in memory
        for key, value in {**self._settings.info, "grooming_delay": _GROOMING_S}.items():
            task.set_info(key, value)
        task.set_default("distant_worker", partial(GatewayWorker, argv=self._settings.argv, ended=self.gateway_ended))
        task.topology = self._settings.routes.tree
        asked = NodeSet._fromlist1(sorted(self._pending), resolver=RESOLVER_NOGROUP)  # noqa: SLF001 - its fast constructor
        self._worker = _AskingWorker(asked, self, self._within_s, self._text, self._settings.invoke)
        task._add_port(self._alarm)  # noqa: SLF001 - `port` itself makes ports of one class only
        task.timer(_TICK_S, handler=self, interval=_TICK_S, autoclose=True)
        task.schedule(self._worker)
        task.resume()

    def ev_wake(self) -> None:
        """Called after `end`."""
        if self._is_over:
            self._task.abort()

    def ev_timer(self, timer: object) -> None:
        """Give up gateways that say nothing: as long as a node is awaited, some node ends within its time."""
        self.ev_wake()
        patience_s = self._settings.connect_timeout_s + self._within_s + _SPARE_S
        for gateway in self._worker.silent_for(patience_s):
            self._failures[gateway] = Failure(cause=Cause.HUNG, reason=f"nothing came for {patience_s:g} s")
            self._worker.give_up(gateway)

    def ev_read(self, worker: object, node: str, sname: str, line: bytes) -> None:
        """A line of a node."""
        name = NodeName(node)
        if name not in self._pending:
            return
        if sname == TreeWorker.SNAME_STDERR:
            self._errors[name] = (self._errors.get(name, b"") + line + b"\n")[-KEPT_STDERR_BYTES:]
            return
        self._read_bytes[name] += len(line) + 1
        if self._read_bytes[name] > _MOST_BYTES:
            self._close(name, Failure(cause=Cause.GARBLED, reason=f"more than {_MOST_BYTES >> 20} MiB"))
        elif not self._is_over:
            self._tell(Line(node=name, text=line))

    def ev_hup(self, worker: object, node: str, rc: int) -> None:
        """A node has ended, or its gateway has."""
        name = NodeName(node)
        gateway, self._worker.lost = self._worker.lost, ""
        if gateway:
            self._close(name, self._failure_of(gateway))
        elif name in self._pending:
            self._close(name, classify(rc, self._errors.pop(name, b"").decode("utf-8", "replace")))

    def timed_out(self, node: str) -> None:
        """A gateway has given up a node."""
        reason = f"no answer within {self._within_s:g} s"
        self._close(NodeName(node), Failure(cause=Cause.TIMEOUT, reason=reason))

    def no_route(self, nodes: Iterable[str]) -> None:
        """No gateway is left for these."""
        for node in nodes:
            self._close(NodeName(node), self._last_failure)

    def gateway_said(self, gateway: str, line: bytes) -> None:
        """What ClusterShell says of the messages of a gateway."""
        reason = line.decode("utf-8", "replace").strip()
        self._failures.setdefault(gateway, Failure(cause=Cause.GARBLED, reason=f"not understood: {reason}"))

    def gateway_ended(self, gateway: str, rc: int, stderr: bytes) -> None:
        """The connection to a gateway has ended."""
        words = stderr.decode("utf-8", "replace")
        if "ClusterShell" in words and ("No module named" in words or "Error while finding" in words):
            failure = Failure(cause=Cause.NO_SHELL, reason="its python3 has no ClusterShell")
        elif rc in (126, 127):
            failure = Failure(cause=Cause.NO_SHELL, reason="it has no python3 there; see `ssh.gateway_python`")
        elif rc == 0:  # after an error that it has only logged
            failure = Failure(cause=Cause.LOST, reason="it has given up; perhaps it cannot reach a gateway behind it")
        else:
            failure = classify(rc, words)
        self._failures.setdefault(gateway, failure)
        self._last_failure = self._failure_of(gateway)

    def _failure_of(self, gateway: str) -> Failure:
        failure = self._failures.get(gateway, Failure(cause=Cause.LOST, reason=_LOST))
        return Failure(cause=failure.cause, reason=f"gateway {gateway}: {failure.reason}")

    def _close(self, node: NodeName, failure: Failure) -> None:
        if node in self._pending:
            self._pending.remove(node)
            if not self._is_over:
                self._tell(Closed(node=node, cause=failure.cause, reason=failure.reason))


class _AskingWorker(TreeWorker):  # type: ignore[misc]  # ClusterShell ships no types
    """Sends the text along with each command: after a gateway has failed, ClusterShell repeats the command alone."""

    lost = ""
    """The gateway that has just ended, while its nodes are being closed."""

    def __init__(self, nodes: NodeSet, handler: Question, within_s: float, text: bytes, invoke: str) -> None:
        super().__init__(nodes, handler, within_s, command=_COMMAND, stderr=True)
        self.invoke_gateway = invoke
        self._text = text
        self._heard_at: dict[str, float] = {}

    def silent_for(self, patience_s: float) -> list[str]:
        """The gateways of which nothing was heard for so long."""
        since = time.monotonic() - patience_s
        return [gateway for gateway in self.gwtargets if self._heard_at.get(gateway, since) < since]

    def give_up(self, gateway: str) -> None:
        """Close its nodes."""
        self._gateway_abort(gateway)

    def _launch(self, nodes: NodeSet) -> None:
        try:
            super()._launch(nodes)
        except RouteResolvingError:
            self.eh.no_route(nodes)
            self._check_fini()

    def _execute_remote(self, cmd: str, targets: NodeSet, gateway: NodeSet, timeout: float) -> None:
        self._heard_at[str(gateway)] = time.monotonic()
        super()._execute_remote(cmd, targets, gateway, timeout)
        channel = self.task._pchannel(gateway, self)  # noqa: SLF001 - as ClusterShell's own `write` does
        channel.write(nodes=targets, buf=self._text, worker=self)
        channel.set_write_eof(nodes=targets, worker=self)

    def _emit_pickup(self, node: str) -> None:
        """Nobody needs to know, and it takes long."""

    def _on_written(self, key: str, bytes_count: int, sname: str) -> None:
        """Likewise."""

    def _on_remote_node_msgline(self, node: str, msg: bytes, sname: str, gateway: str) -> None:
        self._heard_at[str(gateway)] = time.monotonic()
        if node == str(gateway):
            self.eh.gateway_said(node, msg)
        else:
            self.eh.ev_read(self, node, sname, msg)

    def _on_remote_node_close(self, node: str, rc: int, gateway: str) -> None:
        self._heard_at[str(gateway)] = time.monotonic()
        super()._on_remote_node_close(node, rc, gateway)

    def _on_remote_node_timeout(self, node: str, gateway: str) -> None:
        self._heard_at[str(gateway)] = time.monotonic()
        self.eh.timed_out(node)
        super()._on_remote_node_timeout(node, gateway)

    def _gateway_abort(self, gateway: str) -> None:
        for node in list(self.gwtargets.get(gateway, ())):
            self.lost = gateway
            self._on_remote_node_close(node, 1, gateway)
