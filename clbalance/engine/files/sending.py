"""Send the files of a job to the nodes that have admitted it, while their agents keep its leases.

It works in a thread, over links of its own. The thread shares a `SimpleQueue` with the one that listens to the agents,
and the links, which `stop` ends.
"""

import queue
import threading
from collections.abc import Callable, Mapping

from clbalance.engine.files.copy import copy_to_nodes
from clbalance.engine.files.sent_paths import copy_request, look_at, open_sent
from clbalance.engine.files.transfers import FailPointListener, Transfers
from clbalance.errors import ClbalanceError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import ManifestError
from clbalance.model.job_files import WORK_FOLDER, JobFiles
from clbalance.policy.jobs.job_files import changes

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
        self, files: JobFiles, transfers: Transfers, wake: Callable[[], None], fail_point: Callable[[str], None]
    ) -> None:
        """`wake` and `fail_point` (`Services`) are called in another thread: `wake` when there is a result."""
        self._files = files
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

    def _work(self, folders: Mapping[NodeName, str]) -> None:
        try:
            result: Sent | BaseException = self._sent(folders)
            self._fail_point("sent")
        except BaseException as error:  # noqa: BLE001 - raised in the thread that takes the result
            result = error
        self._results.put(result)
        self._wake()

    def _sent(self, folders: Mapping[NodeName, str]) -> Sent:
        try:
            return self._send(folders)
        except (ClbalanceError, ManifestError) as error:
            reason = error.message if isinstance(error, ClbalanceError) else str(error)
            return Sent(failures=dict.fromkeys(folders, reason), is_ours=True)

    def _send(self, folders: Mapping[NodeName, str]) -> Sent:
        failures: dict[NodeName, str] = {}
        with open_sent(self._files.sent) as (sources, now):
            for below, some in sources.items():
                for place, nodes in _by_place(folders).items():
                    left = [node for node in nodes if node not in failures]
                    request = copy_request(some, f"{place}/{WORK_FOLDER}/{below}")
                    results = copy_to_nodes(
                        self._transfers,
                        left,
                        request,
                        fanout=_AT_ONCE,
                        listener=FailPointListener(self._fail_point, "sending"),
                    )
                    failures |= {one.node: f"its files: {one.failure}" for one in results if one.failure is not None}
        if changed := [one.path for one in now if look_at(one.base, one.name) != one]:
            reason = f"{changed[0]!r} changed while it was sent"
            return Sent(failures=dict.fromkeys(folders, reason), is_ours=True)
        told = [
            f"{name!r} has changed since the submission; it was sent as it is" for name in changes(self._files, now)
        ]
        return Sent(failures=failures, warnings=tuple(told))


def _by_place(folders: Mapping[NodeName, str]) -> dict[str, list[NodeName]]:
    """The nodes by the path of the job's folder on them: one path for most jobs."""
    found: dict[str, list[NodeName]] = {}
    for node, folder in folders.items():
        found.setdefault(folder, []).append(node)
    return found
