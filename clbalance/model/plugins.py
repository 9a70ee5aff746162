"""What the site's own programs say of a node: external indices and health checks (docs/design/plugins.md)."""

from collections.abc import Sequence
from enum import Enum, StrEnum

from clbalance.lazy_dataclass import dataclass
from clbalance.model.reading import Unknown


class ExternalUnit(StrEnum):
    """The unit of an external index, by its word in `clbalance.toml`."""

    NUMBER = "number"
    PERCENT = "percent"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIndex:
    """An index that a program of the site measures."""

    name: str
    unit: ExternalUnit = ExternalUnit.NUMBER
    help: str = ""
    busy_above: float | None = None
    """A node with more takes no more jobs."""
    busy_below: float | None = None
    has_column: bool = True
    """Whether `load` shows it in a column."""


@dataclass(frozen=True, slots=True)
class ExternalValue:
    """An external index of one node."""

    index: ExternalIndex
    value: float | Unknown


class CheckState(Enum):
    """The result of a health check, by the exit codes of Nagios' plug-ins."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3

    @property
    def word(self) -> str:
        """The state in a message, and in JSON."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A health check of one node. `text`: what it printed; if it is unknown, why."""

    name: str
    state: CheckState
    text: str

    @property
    def message(self) -> str:
        """Such as "check disk critical: /scratch is read-only"."""
        said = f"check {self.name} {self.state.word}"
        return f"{said}: {self.text}" if self.text else said


@dataclass(frozen=True, slots=True)
class SiteReading:
    """All of it, of one node. `remarks`: what a program printed that it must not."""

    values: tuple[ExternalValue, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    remarks: tuple[str, ...] = ()

    def value(self, name: str) -> float | Unknown:
        """The value of an index."""
        found = next((one.value for one in self.values if one.index.name == name), None)
        return Unknown(reason="no such index") if found is None else found

    @property
    def indices(self) -> tuple[ExternalIndex, ...]:
        """The indices that were asked for."""
        return tuple(one.index for one in self.values)

    def failed(self, state: CheckState) -> Sequence[CheckResult]:
        """The checks in that state."""
        return [check for check in self.checks if check.state is state]


NO_SITE_READING = SiteReading()


# -- what is sent to nodes


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProgram:
    """A program of the site that a probe runs on each node. It has a text, or a path there that must be root's."""

    name: str
    """For messages: `index scratch`."""
    text: str = ""
    """It travels with the probe; its first line is `#!` and an interpreter."""
    path: str = ""
    arguments: tuple[str, ...] = ()
    timeout_s: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSource:
    """Where the value of an index comes from: lines `field value` of a program, or performance data of a check."""

    index: ExternalIndex
    program: int
    """Position of the program."""
    field: str
    is_perfdata: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePrograms:
    """All programs of the site that a probe runs, and what is read from their output."""

    programs: tuple[NodeProgram, ...]
    indices: tuple[IndexSource, ...] = ()
    checks: tuple[tuple[str, int], ...] = ()
    """The names of health checks, each with the position of its program."""
