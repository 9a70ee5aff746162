"""Live output of several nodes, each line behind the name of its node: `node3: line`, as `clush` prints it."""

from collections.abc import Iterable

from clbalance.model import NodeName
from clbalance.render.line_cutter import LineCutter
from clbalance.render.streams import STREAMS, Outlet, Outlets
from clbalance.render.terminal_filter import RESET, terminal_safe
from clbalance.render.untrusted import visible_line

_LABEL_COLOR = {"stdout": b"\x1b[94m", "stderr": b"\x1b[91m"}  # clush's blue and red


class Labelled:
    """Whole lines only, so those of two nodes never mix; an unfinished last line gets its newline."""

    def __init__(self, outlets: Outlets) -> None:
        self._outlets = outlets
        self._cutters: dict[tuple[NodeName, str], LineCutter] = {}

    def write(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._send(node, stream, self._cutters.setdefault((node, stream), LineCutter()).feed(piece))

    def end(self, node: NodeName) -> None:
        for stream in STREAMS:
            if cutter := self._cutters.pop((node, stream), None):
                self._send(node, stream, cutter.finish())

    def close(self) -> None:
        for node in dict.fromkeys(node for node, _ in self._cutters):
            self.end(node)

    def _send(self, node: NodeName, stream: str, lines: Iterable[bytes]) -> None:
        outlet = self._outlets.of(stream)
        label = _label(node, stream, outlet)
        shown = _on_terminal if outlet.terminal else _as_it_is
        outlet.send(b"".join(shown(label, line.removesuffix(b"\n")) for line in lines))


def _label(node: NodeName, stream: str, outlet: Outlet) -> bytes:
    name = visible_line(node).encode() + b": "
    return _LABEL_COLOR[stream] + name + RESET if outlet.color else name


def _as_it_is(label: bytes, line: bytes) -> bytes:
    return label + line + b"\n"


def _on_terminal(label: bytes, line: bytes) -> bytes:
    # A progress bar goes back to the start of the line: the label is put there again, not painted over.
    text = terminal_safe(line.removesuffix(b"\r")).replace(b"\r", b"\r" + label)
    return label + text + b"\n"
