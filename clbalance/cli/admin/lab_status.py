"""The report of `clbalance lab status`."""

from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import PORT
from clbalance.lab.node import LabNode, LabNodeState
from clbalance.render.reports.admin.lab import LabNodeRow, LabReport


def lab_report(lab: Lab, kind: type[LabReport] = LabReport) -> LabReport:
    """The lab's present state."""
    return kind(
        directory=str(lab.directory),
        isolation=lab.record.isolation,
        ssh_config=str(lab.ssh_config),
        nodes=tuple(_row(node, lab.record.spec.cpus) for node in lab.nodes),
    )


def _row(node: LabNode, cpus: int) -> LabNodeRow:
    load, state = node.current_load(), node.state()
    return LabNodeRow(
        name=node.name,
        state=str(state),
        is_down=state is LabNodeState.DOWN,
        address=node.listener.address,
        port=PORT,
        cpus=cpus,
        gpus=node.gpus,
        r1m=load.r1m,
        ut_pct=load.ut_pct,
        boot_id=node.boot_id(),
        processes=tuple(node.processes()),
    )
