"""The connection to one gateway: an ssh of ours, as for any node, that carries ClusterShell's messages."""

from collections.abc import Callable
from typing import Any

from ClusterShell.Engine.Engine import EngineException
from ClusterShell.Worker.EngineClient import EngineClientException

from clbalance.transport.session_client import SessionClient, SessionWorker

_FAILED = 255  # as ssh does: only the words count


class GatewayClient(SessionClient):
    """Tells ClusterShell of begin and end, as its own clients do. A gateway that sends nonsense ends, and no other."""

    _is_refused = False

    def _start(self) -> "GatewayClient":
        super()._start()
        self.worker._on_start(self.key)  # noqa: SLF001 - the channel begins to write now
        return self

    def _hand_over(self, lines: list[bytes]) -> None:
        for line in lines:
            if self._is_refused:
                return
            try:
                self.worker.eh.ev_read(self.worker, self.key, self.worker.SNAME_STDOUT, line)
            except (EngineClientException, EngineException):  # the end of a stream, or of all of it
                raise
            except Exception as error:  # noqa: BLE001 - ClusterShell unpickles what comes, so that any may be raised
                self._refuse(f"not understood: {error}")

    def _refuse(self, what: str) -> None:
        self._is_refused = True
        self.worker.tell_ended(str(self.key), _FAILED, what.encode())
        self.worker.abort()

    def _tell_end(self, rc: int, *, abort: bool) -> None:
        if not abort:  # otherwise it was we who ended it, and the gateway can be used again
            self.worker.tell_ended(str(self.key), rc, self.worker.stderr_tail)
            self.worker.eh.ev_hup(self.worker, self.key, rc)
        self.worker._check_fini()  # noqa: SLF001 - as above


class GatewayWorker(SessionWorker):
    """A worker for one gateway, as ClusterShell makes it for a channel."""

    SHELL_CLASS = GatewayClient

    def __init__(
        self,
        nodes: object,
        handler: object,
        *,
        argv: Callable[[str, str], list[str]],
        ended: Callable[[str, int, bytes], None],
        **kwargs: Any,
    ) -> None:
        self._argv = argv
        self.tell_ended = ended
        super().__init__(nodes, handler, **kwargs)

    def argv(self, node: str) -> list[str]:
        return self._argv(node, self.command)
