"""Jobs of this host and of others, one beyond its share, a lease that cannot be read, and a node that does not answer."""

from dataclasses import replace

from clbalance.model import Allocation, Unknown
from clbalance.render.names import KnownJob, KnownNames
from clbalance.render.report import Report
from clbalance.render.reports.nodes.load_jobs import LoadJobsReport
from tests.render.build import LEASED, UNREADABLE, silent, up
from tests.render.examples import Example
from tests.render.examples.load_gpus import GPUS, NAMES, OWN, THEIRS

ROWS = [
    up("gpu1", 40.0, gpus=GPUS, leases=[OWN, THEIRS]),
    up("node1", 90.0, leases=[LEASED, UNREADABLE]),
    up("node2", 80.0),
    up("node3", 70.0, leases=Unknown(reason="uid 1002 holds more than 1024 leases")),
    silent("node4"),
]
EXAMPLES = (Example("load-jobs", (LoadJobsReport(ROWS, NAMES),)),)


def hostile(one: str, other: str) -> list[Report]:
    lease = replace(OWN, key=other, allocation=Allocation(name=one, gpus=(other,)))
    names = KnownNames(users={1000: one}, jobs={other: KnownJob(id=1, command=one)})
    rows = [silent(one, other), up(other, leases=[lease]), up(one, leases=Unknown(reason=other))]
    return [LoadJobsReport(rows, names)]
