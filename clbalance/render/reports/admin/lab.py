"""`lab status`: the nodes of a lab and their simulated load."""

import shlex
from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, aligned
from clbalance.render.text import DASH, Json

_COLUMNS = (
    Column(heading="NODE"),
    Column(heading="STATE"),
    Column(heading="CPUS", align="right"),
    Column(heading="GPUS", align="right"),
    Column(heading="r1m", align="right"),
    Column(heading="ut%", align="right"),
    Column(heading="PROCESSES", align="right"),
    Column(heading="ADDRESS"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabNodeRow:
    """One node of a lab, with its simulated load."""

    name: str
    state: str
    is_down: bool
    address: str
    port: int
    cpus: int
    gpus: int
    r1m: float
    ut_pct: float
    boot_id: str
    processes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabReport(Report):
    """A lab and its folder."""

    directory: str
    isolation: str
    ssh_config: str
    nodes: tuple[LabNodeRow, ...]

    def human(self, display: Display) -> str:
        return self.plain()

    def plain(self) -> str:
        """The table; scripts use `--format json`."""
        rows = tuple(tuple(map(Cell, _texts(node))) for node in self.nodes)
        return aligned(Table(columns=_COLUMNS, rows=rows))

    def json(self) -> dict[str, Json]:
        about = {"directory": self.directory, "isolation": self.isolation, "ssh_config": self.ssh_config}
        return {**about, "nodes": [_document(node) for node in self.nodes]}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabUpReport(LabReport):
    """A lab that has come up. People have been told on standard error."""

    def human(self, display: Display) -> str:
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDownReport(Report):
    """The folder of a lab that is down now, and whether it was up. People have been told on standard error."""

    directory: str
    was_up: bool

    def human(self, display: Display) -> str:
        return ""

    def plain(self) -> str:
        return plain_lines([(self.directory, int(self.was_up))])

    def json(self) -> dict[str, Json]:
        return {"directory": self.directory, "was_up": self.was_up}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabEnvironmentReport(Report):
    """The variables that point programs at a lab: for people and shells as `export` lines."""

    variables: Mapping[str, str]

    def human(self, display: Display) -> str:
        return self.plain()

    def plain(self) -> str:
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.variables.items())

    def json(self) -> dict[str, Json]:
        return {"variables": dict(self.variables)}


def _texts(node: LabNodeRow) -> tuple[str, ...]:
    return (
        node.name,
        node.state,
        str(node.cpus),
        str(node.gpus),
        DASH if node.is_down else f"{node.r1m:.2f}",
        DASH if node.is_down else f"{node.ut_pct:.0f}",
        str(len(node.processes)),
        f"{node.address}:{node.port}",
    )


def _document(node: LabNodeRow) -> Json:
    return {
        "name": node.name,
        "state": node.state,
        "address": node.address,
        "port": node.port,
        "cpus": node.cpus,
        "gpus": node.gpus,
        "r1m": node.r1m,
        "ut_pct": node.ut_pct,
        "boot_id": node.boot_id,
        "processes": list(node.processes),
    }
