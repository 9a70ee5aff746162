"""Nodes of a lab in each of their states."""

from clbalance.render.report import Report
from clbalance.render.reports.admin.lab import LabDownReport, LabEnvironmentReport, LabNodeRow, LabReport, LabUpReport
from tests.render.examples import Example, one_file


def _row(name: str, state: str, *, r1m: float, ut_pct: float, gpus: int, processes: tuple[int, ...]) -> LabNodeRow:
    number = name.removeprefix("node")
    return LabNodeRow(
        name=name, state=state, is_down=state == "down", address=f"127.0.0.{number}", port=2222, cpus=4, gpus=gpus,
        r1m=r1m, ut_pct=ut_pct, boot_id=f"b007-{number}", processes=processes,
    )  # fmt: skip


_LAB = LabReport(
    directory="/tmp/lab",
    isolation="subreaper",
    ssh_config="/tmp/lab/ssh_config",
    nodes=(
        _row("node1", "up", r1m=0.5, ut_pct=12.5, gpus=0, processes=(4711, 4712)),
        _row("node2", "hung", r1m=31.25, ut_pct=99.0, gpus=2, processes=(4720,)),
        _row("node10", "down", r1m=1.0, ut_pct=3.0, gpus=2, processes=()),
    ),
)
_UP = LabUpReport(directory="/tmp/lab", isolation="subreaper", ssh_config="/tmp/lab/ssh_config", nodes=_LAB.nodes[:1])
_DOWN = LabDownReport(directory="/tmp/lab", was_up=True)
_ENVIRONMENT = LabEnvironmentReport(variables={"CLBALANCE_LAB_DIR": "/tmp/a lab", "PATH": "/tmp/lab/bin:/usr/bin"})
EXAMPLES = (
    Example("lab-status", (_LAB,), one_file("lab-status.txt", "80", "140", "pipe", "plain")),
    Example("lab-up-down", (_UP, _DOWN), one_file("lab-up-down-human.txt", "80", "140", "pipe")),
    Example("lab-env", (_ENVIRONMENT,), one_file("lab-env.txt", "80", "140", "pipe", "plain")),
)


def hostile(one: str, other: str) -> list[Report]:
    node = _row(one, other, r1m=1.0, ut_pct=1.0, gpus=0, processes=())
    return [
        LabReport(directory=one, isolation=other, ssh_config=one, nodes=(node,)),
        LabUpReport(directory=one, isolation=other, ssh_config=one, nodes=(node,)),
        LabDownReport(directory=other, was_up=False),
        LabEnvironmentReport(variables={"HOME": "/home/ann"}),  # of the caller: a shell reads them as they are
    ]
