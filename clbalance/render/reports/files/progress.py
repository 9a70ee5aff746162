"""One line on the progress of a copy or fetch: nodes, bytes, rate, time left, and who holds it up."""

from clbalance.lazy_dataclass import dataclass
from clbalance.render.text import escape_line, iec

_SOON_S = 100 * 3600.0
"""A longer estimate says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesProgress:
    """The state of the transfers at one moment."""

    nodes: int
    ended: int
    moved_bytes: int
    total_bytes: int
    """Of the nodes that have been compared so far, and as much for each of the others."""
    rate: float
    """Bytes per second, of late."""
    failed: str = ""
    """Nodes that failed, folded."""
    slowest: tuple[str, float] | None = None
    """The node that has the largest part left, and its share done."""


def progress_text(now: FilesProgress, width: int) -> str:
    """It in less than `width` characters; what does not fit is left out, the last first."""
    parts = [f"{now.ended}/{now.nodes} nodes done"]
    if now.total_bytes:
        parts.append(f"{iec(now.moved_bytes)} of {iec(now.total_bytes)}")
    if now.rate >= 1:
        parts.append(f"{iec(now.rate)}/s")
        left_s = (now.total_bytes - now.moved_bytes) / now.rate
        if 0 <= left_s < _SOON_S and now.total_bytes:
            parts.append(f"ETA {clock(left_s)}")
    if now.failed:
        parts.append(f"failed: {escape_line(now.failed)}")
    if now.slowest is not None:
        parts.append(f"slowest: {escape_line(now.slowest[0])} {now.slowest[1]:.0%}")
    text = parts[0][: max(0, width - 1)]
    for part in parts[1:]:
        if len(text) + 2 + len(part) >= width:
            break
        text += f", {part}"
    return text


def clock(seconds: float) -> str:
    """A time that is left: `0:05`, `12:30`, `1:02:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
