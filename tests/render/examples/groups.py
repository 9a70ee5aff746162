"""A group file of results."""

from clbalance.render.report import Report
from clbalance.render.reports.admin.groups import GroupsReport
from tests.render.examples import Example, one_file

GROUPS = GroupsReport(
    path="/var/lib/me/groups.d/clbalance.yaml",
    groups={"failed": "node[2-3]", "completed": "", "unstarted": "gpu1"},
    text="# Written by clbalance.\nresults:\n  failed: 'node[2-3]'\n  completed: ''\n  unstarted: 'gpu1'\n",
)
EXAMPLES = (Example("config-groups", (GROUPS,), one_file("config-groups-human.txt", "80", "140", "pipe")),)


def hostile(one: str, other: str) -> list[Report]:
    # The text holds names of nodes, which have passed their allow-list.
    return [GroupsReport(path=one, groups={other: one}, text="results:\n")]
