"""Send the files of a job to the nodes that have admitted it, while their agents keep its leases.

It works in a thread, over links of its own. The thread shares a `SimpleQueue` with the one that listens to the agents,
and the links, which `stop` ends.
"""

import contextlib
import posixpath
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from clbalance.engine.files.copy import copy_in_turn
from clbalance.engine.files.local_files import LocalFiles
from clbalance.engine.files.sent_paths import copy_request, look_at, open_sent
from clbalance.engine.files.transfers import PassedOn, Progress, Transfers, on_each
from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import FilesResult, ManifestError
from clbalance.model.job_files import WORK_FOLDER, JobFiles, SentPath
from clbalance.policy.jobs.job_files import changes
from clbalance.ports import FileListener

_AT_ONCE = 16  # nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How the sending has ended. A node without a failure has all files."""

    failures: Mapping[NodeName, str]
    is_ours: bool = False
    """The failures are not the nodes', but of the files here."""
    warnings: tuple[str, ...] = ()


class Sending:
    """Sends all files to all nodes, once."""

    def __init__(
        self,
        files: JobFiles,
        transfers: Transfers,
        wake: Callable[[], None],
        fail_point: Callable[[str], None],
        listener: FileListener,
    ) -> None:
        """`wake` and `fail_point` (`Services`) are called in another thread: `wake` when there is a result.

        `listener`: is told by `take_result`, in its thread.
        """
        self._files = files
        self._shown = listener
        self._told: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._listener = PassedOn(listener, partial(fail_point, "sending"), self._told.put)
        self._transfers = transfers
        self._wake = wake
        self._fail_point = fail_point
        self._results: queue.SimpleQueue[Sent | BaseException] = queue.SimpleQueue()
        self.is_done = False
        """Whether the result was taken."""

    def begin(self, folders: Mapping[NodeName, str]) -> None:
        """Start. `folders`: that of the job on each node."""
        threading.Thread(target=self._work, args=(dict(folders),), name="clbalance-send", daemon=True).start()

    def take_result(self) -> Sent | None:
        """The result, once; None: there is none yet, or it was taken."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._told.get_nowait()()
        try:
            result = self._results.get_nowait()
        except queue.Empty:
            return None
        self.is_done = True
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        """End it, if it is still under way."""
        self._transfers.close()
        self._shown.done()

    def _work(self, folders: Mapping[NodeName, str]) -> None:
        try:
            result: Sent | BaseException = self._sent(folders)
            self._fail_point("sent")
        except BaseException as error:  # noqa: BLE001 - raised in the thread that takes the result
            result = error
        self._results.put(result)
        self._wake()

    def _sent(self, folders: Mapping[NodeName, str]) -> Sent:
        places = {node: f"{folder}/{WORK_FOLDER}" for node, folder in folders.items()}
        return send_files([("", self._files.sent)], places, self._transfers, self._listener)


def send_files(
    parts: Sequence[tuple[str, Sequence[SentPath]]],
    places: Mapping[NodeName, str],
    transfers: Transfers,
    listener: FileListener,
) -> Sent:
    """Send files to nodes, and wait until they are there.

    `parts`: files by the folder that they go to, below that in `places`.
    """
    try:
        return _send(parts, places, transfers, listener)
    except (ClbalanceError, ManifestError) as error:
        reason = error.message if isinstance(error, ClbalanceError) else str(error)
        return Sent(failures=dict.fromkeys(places, reason), is_ours=True)


def _send(
    parts: Sequence[tuple[str, Sequence[SentPath]]],
    places: Mapping[NodeName, str],
    transfers: Transfers,
    listener: FileListener,
) -> Sent:
    told: list[str] = []
    with contextlib.ExitStack() as opened:
        sources = []
        seen: list[SentPath] = []
        for folder, sent in parts:
            found, now = opened.enter_context(open_sent(sent))
            sources += [(posixpath.join(folder, below), some, LocalFiles(some)) for below, some in found.items()]
            seen += now
            told += changes(sent, now)

        def work(node: NodeName, progress: Progress) -> FilesResult:
            place = places[node]
            requests = [(copy_request(some, posixpath.join(place, below)), local) for below, some, local in sources]
            with transfers.session(node) as program:
                return copy_in_turn(program, node, requests, progress)

        results = on_each(tuple(places), work, transfers=transfers, fanout=_AT_ONCE, listener=listener)
    if changed := [one.path for one in seen if look_at(one.base, one.name) != one]:
        reason = f"{changed[0]!r} changed while it was sent"
        return Sent(failures=dict.fromkeys(places, reason), is_ours=True)
    return Sent(
        failures={one.node: f"its files: {one.failure}" for one in results if one.failure is not None},
        warnings=tuple(f"{name!r} has changed since the submission; it was sent as it is" for name in told),
    )
