"""Work on many nodes, each in a thread of its own: the fan-out of `copy` and `fetch`.

The threads share only a `SimpleQueue` of what they tell, which a signal in the calling thread leaves consistent, and
the links, so that one call ends them all.
"""

import contextlib
import queue
import random
import re
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol, TypeAlias

from clbalance.engine.files.program import FileProgram
from clbalance.engine.files.sftp_session import SftpSession
from clbalance.engine.files.values import NodeRefusedError
from clbalance.model import Cause, NodeName
from clbalance.model.files import FilesResult
from clbalance.policy.files.plan import FilePlan
from clbalance.ports import FileListener, Link, LinkError, Transport

_LOOK_EVERY_S: Final = 0.5
_ENDED_WITHIN_S: Final = 2.0  # for threads whose links were closed
_MOST_TRIES: Final = {Cause.THROTTLED: 8}
_TRIES: Final = 2
_NO_PYTHON: Final = re.compile(r"python3.*(not found|No such file)")  # what shells say
_TOLD_EVERY_BYTES: Final = 1 << 20


class Transfers:
    """Makes links to nodes, and closes them all. Its calls work in any thread."""

    def __init__(self, transport: Transport, *, program: str, within_s: float, idle_s: float) -> None:
        """`program`: `node.files_source()`. `within_s`: for connection and hello. `idle_s`: without any progress."""
        self._transport = transport
        self._program = program
        self._within_s = within_s
        self._idle_s = idle_s
        self._links: dict[int, Link] = {}
        self._closed = threading.Event()

    def program(self, node: NodeName) -> FileProgram:
        """The file program on a node, which has said hello, to be used in a `with` block. `LinkError`.

        Tries again where that can help.
        """
        tries = 0
        while True:
            tries += 1
            program = FileProgram(self.link(node, "exec /bin/sh -s"), self._program)
            try:
                program.greet()
            except LinkError as error:
                program.__exit__(None, None, None)
                if not error.again or tries >= _MOST_TRIES.get(error.cause, _TRIES):
                    raise
            except BaseException:
                program.__exit__(None, None, None)
                raise
            else:
                return program
            self._closed.wait(random.uniform(0.2, 0.6) * min(8, 2 ** (tries - 1)))

    def session(self, node: NodeName) -> FileProgram | SftpSession:
        """The file program on a node, or SFTP where there is no python3. `LinkError`."""
        try:
            return self.program(node)
        except LinkError as error:
            if error.cause is not Cause.PYTHON or not _NO_PYTHON.search(error.reason):
                raise
        return SftpSession(self._transport.sftp(partial(self.link, node)))

    def link(self, node: NodeName, command: str, *, subsystem: bool = False) -> Link:
        """A link that `close` ends. See `ports.Transport.link`."""
        link = self._transport.link(node, command, within_s=self._within_s, idle_s=self._idle_s, subsystem=subsystem)
        self._links[id(link)] = link
        if self._closed.is_set():
            link.close()
        return link

    def close(self) -> None:
        """End all links, in any thread: who uses one gets a `LinkError`, also who makes one from now on."""
        self._closed.set()
        for link in list(self._links.values()):
            link.close()


class NullFileListener:
    """`FileListener` that shows nothing."""

    def asked(self, nodes: Collection[NodeName]) -> None: ...

    def started(self, node: NodeName) -> None: ...

    def planned(self, node: NodeName, plan: FilePlan) -> None: ...

    def moved(self, node: NodeName, count_bytes: int) -> None: ...

    def ended(self, result: FilesResult) -> None: ...

    def idle(self) -> None: ...

    def done(self) -> None: ...


class PassedOn:
    """`FileListener` that passes all on through `call`. A fail point is where a node's files are about to move."""

    def __init__(
        self,
        listener: FileListener,
        reached: Callable[[], None],
        call: Callable[[Callable[[], object]], object] = lambda tell: tell(),
    ) -> None:
        """`reached`: the fail point. `call`: called with each call for `listener`, such as to put it into a queue."""
        self._listener = listener
        self._reached = reached
        self._call = call

    def asked(self, nodes: Collection[NodeName]) -> None:
        self._call(partial(self._listener.asked, nodes))

    def started(self, node: NodeName) -> None:
        self._call(partial(self._listener.started, node))

    def planned(self, node: NodeName, plan: FilePlan) -> None:
        self._reached()
        self._call(partial(self._listener.planned, node, plan))

    def moved(self, node: NodeName, count_bytes: int) -> None:
        self._call(partial(self._listener.moved, node, count_bytes))

    def ended(self, result: FilesResult) -> None:
        self._call(partial(self._listener.ended, result))

    def idle(self) -> None:
        self._call(self._listener.idle)

    def done(self) -> None:
        self._call(self._listener.done)


class Progress(Protocol):
    """What the work on one node tells; passed on to the listener in the thread that began it all."""

    def planned(self, plan: FilePlan) -> None:
        """As `FileListener.planned`."""
        ...

    def moved(self, count_bytes: int) -> None:
        """As `FileListener.moved`."""
        ...


class _Told:
    """The progress of one node, as calls for the listener in a queue. Bytes are told in sums, as they are many."""

    def __init__(self, node: NodeName, listener: FileListener, told: "queue.SimpleQueue[Callable[[], object]]") -> None:
        self._node = node
        self._listener = listener
        self._told = told
        self._untold_bytes = 0

    def planned(self, plan: FilePlan) -> None:
        self._told.put(partial(self._listener.planned, self._node, plan))

    def moved(self, count_bytes: int) -> None:
        self._untold_bytes += count_bytes
        if self._untold_bytes >= _TOLD_EVERY_BYTES:
            self.tell()

    def tell(self) -> None:
        """Tell of the bytes that were not told yet."""
        if self._untold_bytes:
            self._told.put(partial(self._listener.moved, self._node, self._untold_bytes))
        self._untold_bytes = 0


Work: TypeAlias = Callable[[NodeName, Progress], FilesResult]


def on_each(
    nodes: Sequence[NodeName], work: Work, *, transfers: Transfers, fanout: int, listener: FileListener
) -> tuple[FilesResult, ...]:
    """Call `work` for each node, in at most `fanout` threads; the results in node order.

    A `LinkError` or `NodeRefusedError` in `work` is the failure of that node. On an exception in the calling thread,
    such as Ctrl-C, all links are closed first. May be called in any thread.
    """
    fan = _Fan(nodes, work, listener)
    threads = [threading.Thread(target=fan.work_on, daemon=True) for _ in range(max(1, min(fanout, len(nodes))))]
    listener.asked(nodes)
    try:
        for thread in threads:
            thread.start()
        return fan.results()
    except BaseException:
        fan.give_up()
        transfers.close()
        until = time.monotonic() + _ENDED_WITHIN_S
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        raise
    finally:
        listener.done()


class _Fan:
    """The nodes that wait for a thread, and what the threads tell."""

    def __init__(self, nodes: Sequence[NodeName], work: Work, listener: FileListener) -> None:
        self._nodes = nodes
        self._work = work
        self._listener = listener
        self._waiting: queue.SimpleQueue[NodeName] = queue.SimpleQueue()
        self._told: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._results: dict[NodeName, FilesResult] = {}
        for node in nodes:
            self._waiting.put(node)

    def results(self) -> tuple[FilesResult, ...]:
        """Pass on what the threads tell, until all nodes have ended. In the calling thread."""
        while len(self._results) < len(self._nodes):
            try:
                tell = self._told.get(timeout=_LOOK_EVERY_S)
            except queue.Empty:
                tell = self._listener.idle
            tell()
        return tuple(self._results[node] for node in self._nodes)

    def give_up(self) -> None:
        """Begin no more nodes."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()

    def work_on(self) -> None:
        """Work on one node after the other. In a thread."""
        with contextlib.suppress(queue.Empty):
            while True:
                node = self._waiting.get_nowait()
                self._told.put(partial(self._listener.started, node))
                try:
                    result = self._result(node)
                except BaseException as error:  # noqa: BLE001 - the calling thread must learn of any error
                    self._told.put(partial(_raise, error))
                    return
                self._told.put(partial(self._end, result))

    def _result(self, node: NodeName) -> FilesResult:
        began = time.monotonic()
        progress = _Told(node, self._listener, self._told)
        try:
            result = self._work(node, progress)
        except LinkError as error:
            result = FilesResult(node=node, failure=error.cause.because(error.reason))
        except NodeRefusedError as error:
            result = FilesResult(node=node, failure=str(error))
        progress.tell()
        return replace(result, elapsed_s=time.monotonic() - began)

    def _end(self, result: FilesResult) -> None:
        self._results[result.node] = result
        self._listener.ended(result)


def _raise(error: BaseException) -> None:
    raise error
