"""`reboot` on a lab node: as on a machine, it ends all that runs there, and the node comes back."""

import os
import subprocess
import time

import pytest

from clbalance.errors import UsageError
from clbalance.lab.cluster import Lab
from clbalance.lab.namespaces import Isolation
from clbalance.lab.node import LabNode, LabNodeState
from clbalance.lab.spec import LabSpec, LabUser
from tests.conftest import NewLab

_WITHIN_S = 120.0


def ssh(lab: Lab, node: LabNode, command: str, user: str = "") -> subprocess.CompletedProcess[str]:
    argv = [str(lab.directory / "bin/ssh"), *(["-l", user] if user else []), node.name, command]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def await_answer(lab: Lab, node: LabNode, command: str = "true") -> str:
    until = time.monotonic() + _WITHIN_S
    while (answer := ssh(lab, node, command)).returncode:
        assert time.monotonic() < until, answer.stderr
    return answer.stdout


@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_node_comes_back_with_another_boot_id_and_nothing_of_what_ran(new_lab: NewLab, isolation: Isolation) -> None:
    lab = new_lab(LabSpec(nodes=2, tied=True, isolation=isolation))
    node, other = lab.nodes
    before, untouched = node.boot_id(), other.boot_id()
    ssh(lab, node, "nohup sleep 4321 >/dev/null 2>&1 & echo x >$TMPDIR/file")
    node.load(reboot_s=0.3, r1m=7.0)
    ssh(lab, node, "systemctl reboot || reboot; sleep 60")
    assert await_answer(lab, node, "ls $TMPDIR; cat $CLBALANCE_PROCFS/loadavg").startswith("0.0")
    assert node.boot_id() != before
    assert other.boot_id() == untouched
    assert "sleep 4321" not in ssh(lab, node, "ps -e -o args").stdout
    assert node.state() is LabNodeState.UP


def test_a_reboot_can_go_wrong_in_each_way(lab: Lab) -> None:
    node = lab.nodes[0]
    before = node.boot_id()
    node.load(reboot="same", reboot_s=0.1)
    ssh(lab, node, "reboot; sleep 60")
    await_answer(lab, node, "node-health")
    assert node.boot_id() == before
    node.load(reboot="sick", reboot_s=0.1)
    ssh(lab, node, "shutdown -r now; sleep 60")
    await_answer(lab, node)
    assert ssh(lab, node, "node-health").returncode == 2
    node.load(reboot="never")
    ssh(lab, node, "reboot; sleep 60")
    until = time.monotonic() + _WITHIN_S
    while node.state() is not LabNodeState.DOWN:
        assert time.monotonic() < until
    node.boot()
    assert ssh(lab, node, "node-health").returncode == 0


def test_nothing_else_is_done_by_these_programs(lab: Lab) -> None:
    node = lab.nodes[0]
    before = node.boot_id()
    for command in ("shutdown -h now", "systemctl poweroff", "systemctl restart ssh", "/usr/sbin/shutdown -c"):
        assert ssh(lab, node, command).returncode
    assert node.boot_id() == before
    assert ssh(lab, node, "true").returncode == 0


def test_only_a_node_of_its_own_is_rebooted(lab: Lab) -> None:
    """Run outside of its node, the program finds another first process, and does nothing."""
    tool = lab.nodes[0].folder.bin / "reboot"
    assert lab.nodes[0].isolation is Isolation.NAMESPACES, "elsewhere it reaches its node from here, too"
    done = subprocess.run([tool], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "not permitted" in done.stderr


@pytest.mark.skipif(os.getuid() != 0, reason="other users need root")
def test_another_user_may_not(new_lab: NewLab) -> None:
    lab = new_lab(LabSpec(nodes=1, tied=True, users=(LabUser(name="alice", uid=2001),)))
    assert "not permitted" in ssh(lab, lab.nodes[0], "reboot", "alice").stderr


def test_unknown_kinds_are_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no kind of reboot"):
        lab.nodes[0].load(reboot="maybe")
    with pytest.raises(UsageError, match="outside"):
        lab.nodes[0].load(reboot_s=-1.0)
