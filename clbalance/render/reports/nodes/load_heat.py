"""`load --heat`: a map of nodes, one character each: a shade for the load, a sign where there is none."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import fold
from clbalance.policy.heat import LOAD_BANDS, Band, NodeGroup, band_of, by_label, by_name
from clbalance.render.lines import Line, columns_of, cut, cut_line, lines_text
from clbalance.render.report import Display, Report
from clbalance.render.reports.nodes.load import LoadReport
from clbalance.render.sparkline import Blocks
from clbalance.render.table import GAP, Cell, Tone
from clbalance.render.text import Json
from clbalance.render.views import NodeRow
from clbalance.units import counted

_SIGNS = {
    Band.AWAITED: "~",
    Band.SUSPECT: "S",
    Band.DRAINED: "D",
    Band.UNFIT: "U",
    Band.UNKNOWN: "?",
}
_TONES = {
    Band.IDLE: Tone.GOOD,
    Band.LIGHT: Tone.GOOD,
    Band.HIGH: Tone.WARN,
    Band.FULL: Tone.BAD,
    Band.SILENT: Tone.BAD,
    Band.SUSPECT: Tone.WARN,
    Band.DRAINED: Tone.QUIET,
    Band.AWAITED: Tone.QUIET,
}
_NAMED = (Band.FULL, *(band for band in Band if band not in LOAD_BANDS))
"""Bands whose nodes are named below the map."""
_TEN = 10
"""Nodes between two blanks, so that one can be counted out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadHeatReport(Report):
    """The load of many nodes on one screen. In plain text and JSON it is the report of `load`."""

    rows: Sequence[NodeRow]
    blocks: Blocks
    labels: Mapping[NodeName, str] | None = None
    """The label that groups the nodes; None: they are grouped by name."""

    def human(self, display: Display) -> str:
        if not self.rows:
            return ""
        width = display.drawing_width
        bands = {row.node: band_of(row.answer, row.state) for row in self.rows}
        lines = [*_map(self._groups(), bands, self.blocks, width, labelled=self.labels is not None)]
        lines += _legend(bands, self.blocks, display.width)
        return lines_text(lines, color=display.color)

    def plain(self) -> str:
        """As `load`."""
        return LoadReport(self.rows).plain()

    def json(self) -> dict[str, Json]:
        return LoadReport(self.rows).json()

    def _groups(self) -> list[NodeGroup]:
        nodes = [row.node for row in self.rows]
        return by_name(nodes) if self.labels is None else by_label(nodes, self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Strip:
    """Nodes of one group that stand in one line, behind its label."""

    label: str
    nodes: tuple[NodeName, ...]


def _map(
    groups: Sequence[NodeGroup], bands: Mapping[NodeName, Band], blocks: Blocks, width: int, *, labelled: bool
) -> Iterator[Line]:
    """Groups beside each other as far as there is room. A long group has several lines, by name each with its own."""
    names = [group.label if labelled else group.nodes[0] for group in groups]
    label_width = min(max(map(columns_of, names)), width // 3)
    most = _most_nodes(width - label_width - 1)
    strips = [
        _Strip(
            label=(group.label if at == 0 else "") if labelled else group.nodes[at], nodes=group.nodes[at : at + most]
        )
        for group in groups
        for at in range(0, len(group.nodes), most)
    ]
    strip_width = max(_strip_columns(len(strip.nodes)) for strip in strips)
    beside = max(1, (width + GAP) // (label_width + 1 + strip_width + GAP))
    for at in range(0, len(strips), beside):
        line: list[Cell] = []
        for strip in strips[at : at + beside]:
            label = cut(strip.label, label_width, blocks.cut)
            line.append(Cell(" " * GAP if line else ""))
            line.append(Cell(label + " " * (label_width - columns_of(label) + 1)))
            line += _cells(strip.nodes, bands, blocks)
            line.append(Cell(" " * (strip_width - _strip_columns(len(strip.nodes)))))
        yield cut_line(tuple(line), width, "")


def _most_nodes(room: int) -> int:
    """How many nodes have room in a line: whole tens, unless there is not even room for ten."""
    tens = (room + 1) // (_TEN + 1)
    return _TEN * tens if tens else max(1, room)


def _strip_columns(nodes: int) -> int:
    return nodes + (nodes - 1) // _TEN


def _cells(nodes: Sequence[NodeName], bands: Mapping[NodeName, Band], blocks: Blocks) -> Iterator[Cell]:
    """The nodes' signs, those of the same colour in one cell."""
    signs = [(_sign(bands[node], blocks), _TONES.get(bands[node], Tone.PLAIN), at) for at, node in enumerate(nodes)]
    for tone, same in groupby(signs, key=lambda one: one[1]):
        yield Cell("".join((" " if at and at % _TEN == 0 else "") + sign for sign, _, at in same), tone)


def _sign(band: Band, blocks: Blocks) -> str:
    if band in LOAD_BANDS:
        return blocks.shades[LOAD_BANDS.index(band)]
    return blocks.silence if band is Band.SILENT else _SIGNS[band]


def _legend(bands: Mapping[NodeName, Band], blocks: Blocks, width: int | None) -> Iterator[Line]:
    """What the signs mean and how many nodes have each; the nodes that are full, or have no load, by name."""
    counts = Counter(bands.values())
    line: list[Cell] = [Cell(f"{counted(len(bands), 'node')}, load/cpu:")]
    for band in LOAD_BANDS:
        entry = (*_entry(band, counts[band], blocks), Cell(f" {band.value}"))
        if width is not None and _columns(line) + GAP + _columns(entry) > width:
            yield cut_line(tuple(line), width, blocks.cut)
            line = [*entry]
        else:
            line += [Cell(" " * GAP), *entry]
    yield tuple(line) if width is None else cut_line(tuple(line), width, blocks.cut)
    for band in _NAMED:
        if counts[band]:
            nodes = fold(node for node, its in bands.items() if its is band)
            full = "load " if band is Band.FULL else ""
            told = (*_entry(band, counts[band], blocks), Cell(f" {full}{band.value}: {nodes}"))
            yield told if width is None else cut_line(told, width, blocks.cut)


def _entry(band: Band, count: int, blocks: Blocks) -> Line:
    return Cell(_sign(band, blocks), _TONES.get(band, Tone.PLAIN)), Cell(f" {count}")


def _columns(line: Sequence[Cell]) -> int:
    return sum(columns_of(cell.text) for cell in line)
