"""A group file of results."""

from clbalance.render.report import Report
from clbalance.render.reports.admin.groups import GroupsReport, InstalledReport
from tests.render.examples import Example, one_file

GROUPS = GroupsReport(
    path="/var/lib/me/groups.d/clbalance.yaml",
    groups={"failed": "node[2-3]", "completed": "", "unstarted": "gpu1"},
    text="# Written by clbalance.\nresults:\n  failed: 'node[2-3]'\n  completed: ''\n  unstarted: 'gpu1'\n",
)
INSTALLED = InstalledReport(link="/home/me/.config/clustershell/groups.d/clb.yaml", path=GROUPS.path, before=None)
EXAMPLES = (
    Example("config-groups", (GROUPS,), one_file("config-groups-human.txt", "80", "140", "pipe")),
    Example("config-groups-install", (INSTALLED,), one_file("config-groups-install-human.txt", "80", "140", "pipe")),
)


def hostile(one: str, other: str) -> list[Report]:
    # The text holds names of nodes, which have passed their allow-list.
    return [
        GroupsReport(path=one, groups={other: one}, text="results:\n"),
        InstalledReport(link=one, path=other, before=one),
    ]
