"""`config groups`: groups of nodes by the results of jobs."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.text import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledReport(Report):
    """The link that ClusterShell reads, and where it points. People have been told on standard error."""

    link: str
    path: str
    before: str | None
    """Where it pointed before; None: it is new."""

    def human(self, display: Display) -> str:
        return ""

    def plain(self) -> str:
        return plain_lines([(self.link, self.path, self.before)])

    def json(self) -> dict[str, Json]:
        return {"link": self.link, "path": self.path, "before": self.before}


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsReport(Report):
    """The group file: its path, its groups, and its text for ClusterShell."""

    path: str
    groups: Mapping[str, str]
    text: str

    def human(self, display: Display) -> str:
        """The text of the file."""
        return self.text

    def plain(self) -> str:
        return plain_lines(self.groups.items())

    def json(self) -> dict[str, Json]:
        return {"path": self.path, "groups": dict(self.groups)}
