"""What `config groups` shows, other than the file itself: each set by its name."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.json_value import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupsReport:
    """The group file: where it lies, what is in it, and the same as ClusterShell reads it."""

    path: str
    groups: Mapping[str, str]
    text: str


def groups_document(report: GroupsReport) -> dict[str, Json]:
    """As programs read it."""
    return {"path": report.path, "groups": dict(report.groups)}
