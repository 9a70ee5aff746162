"""`config groups`: what became of jobs, as groups of nodes."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsReport(Report):
    """The group file: where it lies, what is in it, and the same as ClusterShell reads it."""

    path: str
    groups: Mapping[str, str]
    text: str

    def human(self, display: Display) -> str:
        """The file itself."""
        return self.text

    def plain(self) -> str:
        return plain_lines(self.groups.items())

    def json(self) -> dict[str, Json]:
        return {"path": self.path, "groups": dict(self.groups)}
