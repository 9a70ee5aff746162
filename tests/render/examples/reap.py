"""What was left on nodes: the same on two, several things on a third, an unanswered one and a clean one."""

from clbalance.model import Cause, NodeName
from clbalance.model.checkup import Leftover, LeftoverKind, Reaped
from clbalance.render.report import Report
from clbalance.render.reports.admin.reap import ReapReport
from tests.render.examples import Example

_LOG = Leftover(kind=LeftoverKind.JOB, name="0123abcd.1", size_bytes=5 << 20)
REAPED = ReapReport(
    nodes=(
        Reaped(node=NodeName("node1"), found=(_LOG,)),
        Reaped(node=NodeName("node2"), found=(_LOG,)),
        Reaped(
            node=NodeName("node3"),
            found=(
                Leftover(
                    kind=LeftoverKind.PROCESSES, name="fedc.2", size_bytes=0, pids=(71, 72), reason="in D state\x1b[31m"
                ),
                Leftover(kind=LeftoverKind.LEASE, name="fedc.2", size_bytes=310, reason="not yours: uid 12"),
                Leftover(kind=LeftoverKind.BOOT, name="b007", size_bytes=1234, reason="[red]busy"),
            ),
        ),
        Reaped(node=NodeName("node4"), cause=Cause.REFUSED, reason="connect to host node4 port 22: Connection refused"),
        Reaped(node=NodeName("node5")),
    ),
    applied=True,
)
EXAMPLES = (Example("reap", (REAPED,)),)


def hostile(one: str, other: str) -> list[Report]:
    found = tuple(Leftover(kind=kind, name=one, size_bytes=1, pids=(1,), reason=other) for kind in LeftoverKind)
    nodes = (
        Reaped(node=NodeName("a"), found=found),
        Reaped(node=NodeName("b"), cause=Cause.HUNG, reason=one),
        Reaped(node=NodeName("c"), found=found, reason=other),
    )
    return [ReapReport(nodes=nodes, applied=True)]
