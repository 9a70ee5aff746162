"""What jobs write down on their nodes when they begin and end, and what can be told from that afterwards.

A job begins after its lease was granted and ends before that is given back, and appended lines keep their order:
so whoever overlaps in a node's diary held leases there at the same time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from clbalance.lab.node import LabNode

NAME = "DIARY_NAME"

WORK = f"""
line="${NAME} ${{CUDA_VISIBLE_DEVICES:--}}"
echo "+ $line" >> "$TMPDIR/diary"
sleep 0.4
echo "- $line" >> "$TMPDIR/diary"
"""
"""For `-c`, with a name in `--env`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: `name` has begun or ended, with these GPUs in its hands."""

    name: str
    begun: bool
    gpus: tuple[str, ...]


def diary_of(node: LabNode) -> list[Entry]:
    """What the jobs of a node wrote, in its order."""
    return diary_in(node.folder.tmp)


def diary_in(folder: Path) -> list[Entry]:
    """The same, of jobs with this TMPDIR."""
    file = folder / "diary"
    return [_entry(line) for line in file.read_text().splitlines()] if file.exists() else []


def _entry(line: str) -> Entry:
    sign, name, gpus = line.split()
    return Entry(name=name, begun=sign == "+", gpus=() if gpus == "-" else tuple(gpus.split(",")))


def begun(diary: Sequence[Entry]) -> list[str]:
    """The names of all that began, once for each time."""
    return [entry.name for entry in diary if entry.begun]


def ended(diary: Sequence[Entry]) -> list[str]:
    """The names of all that came to their own end."""
    return [entry.name for entry in diary if not entry.begun]


def most_at_once(diary: Sequence[Entry], counts: Callable[[Entry], bool] = lambda _: True) -> int:
    """How many of those that count were under way at the same time."""
    under_way = most = 0
    for entry in diary:
        if counts(entry):
            under_way += 1 if entry.begun else -1
            most = max(most, under_way)
    return most
