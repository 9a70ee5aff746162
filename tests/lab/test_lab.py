"""A lab of real servers, seen through a plain ssh client."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clbalance.errors import LabError, UsageError
from clbalance.lab.build import settle
from clbalance.lab.cluster import Lab, take_down
from clbalance.lab.config_files import find_programs
from clbalance.lab.load import GpuLoad
from clbalance.lab.node import Fault, LabNodeState
from clbalance.lab.processes import identify, stat_of
from clbalance.lab.spec import LabSpec
from tests.conftest import NewLab
from tests.lab_restore import has_fault, restore
from tests.waiting import eventually

from .seen import ssh, told

LOADAVG = "cat $CLBALANCE_PROCFS/loadavg"
GPUS = (
    "nvidia-smi --query-gpu=uuid,index,name,memory.total,memory.used,utilization.gpu,temperature.gpu,driver_version"
    " --format=csv,noheader,nounits"
)
APPS = "nvidia-smi --query-compute-apps=gpu_uuid,pid,process_name,used_gpu_memory --format=csv,noheader,nounits"


def test_each_node_has_values_and_folders_of_its_own(lab: Lab) -> None:
    lab.node("node1").load(r1m=3.0, ut_pct=50)
    names = ("CLBALANCE_NODE_DIR", "TMPDIR", "HOME")
    script = "; ".join([LOADAVG, "cat $CLBALANCE_PROCFS/sys/kernel/random/boot_id", *(f"echo ${n}" for n in names)])
    first, second = (told(lab, name, script).splitlines() for name in ("node1", "node2"))
    assert first[0].startswith("3.00 3.00 3.00 4/")
    assert second[0].startswith("0.00 0.00 0.00 1/")
    assert all(one != other for one, other in zip(first, second, strict=True))
    assert all(line.startswith(str(lab.directory)) for line in first[2:])


def test_nothing_of_the_users_ssh_is_used(lab: Lab, tmp_path: Path) -> None:
    done = subprocess.run(
        ["ssh", "-v", "-F", str(lab.ssh_config), "node1", "true"],
        env={**os.environ, "SSH_AUTH_SOCK": str(tmp_path / "agent")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    files = [word for word in done.stderr.replace(":", " ").split() if word.startswith(("/", "~"))]
    assert str(lab.directory / "known_hosts") in files
    assert [file for file in files if ".ssh" in file or "agent" in file or file.startswith("/etc/ssh")] == []


def test_a_load_keeps_what_it_does_not_name(lab: Lab) -> None:
    node = lab.node("node2")
    node.load(r1m=1.0)
    node.load(ut_pct=25)
    assert (node.current_load().r1m, node.current_load().ut_pct) == (1.0, 25)


def test_the_gpu_tool_tells_what_was_set(lab: Lab) -> None:
    node = lab.node("node8")
    node.load(gpus=(GpuLoad(index=1, use_pct=95, mem_used_bytes=30 * 2**30, process="train.py"),))
    idle, busy = (line.split(", ") for line in told(lab, "node8", GPUS).splitlines())
    assert idle[1:6] == ["0", "NVIDIA A100-SXM4-40GB", "40960", "0", "0"]
    assert busy[3:6] == ["40960", "30720", "95"]
    assert told(lab, "node8", APPS) == f"{busy[0]}, 400001, train.py, 30720"


def test_nodes_without_gpus_have_no_gpu_tool(lab: Lab) -> None:
    assert ssh(lab, "node1", "command -v nvidia-smi").stdout == ""
    with pytest.raises(UsageError, match="node1 has no GPU 0"):
        lab.node("node1").load(gpus=(GpuLoad(index=0),))


def test_a_broken_gpu_tool_says_so_and_fails(lab: Lab) -> None:
    (lab.node("node8").folder.gpu / "fail").write_text("NVIDIA-SMI has failed\n")
    done = ssh(lab, "node8", GPUS)
    assert (done.returncode, done.stdout, done.stderr) == (9, "", "NVIDIA-SMI has failed\n")


def test_a_gpu_that_is_cut_lists_its_parts_and_who_is_on_them(lab: Lab) -> None:
    node = lab.node("node8")
    node.load(gpu_parts=((0, 2),), gpus=(GpuLoad(index=0, part=1, mem_used_bytes=5 * 2**30, process="x"),))
    listed = told(lab, "node8", "nvidia-smi -L").splitlines()
    assert [line.partition(":")[0].split()[:2] for line in listed] == [
        ["GPU", "0"],
        ["MIG", "3g.20gb"],
        ["MIG", "3g.20gb"],
        ["GPU", "1"],
    ]
    assert told(lab, "node8", GPUS).splitlines()[0].split(", ")[4:6] == ["5120", "[N/A]"]
    assert "Process ID                        : 400101" in told(lab, "node8", "nvidia-smi -q")
    assert told(lab, "node8", "ls -d $CLBALANCE_PROCFS/driver/nvidia/capabilities/gpu*/mig/gi*").count("gpu0") == 2
    with pytest.raises(UsageError, match=r"GPU 0 of node8 has parts 0\.0 to 0\.1"):
        node.load(gpus=(GpuLoad(index=0),))
    node.load(gpu_parts=((0, 0),), gpus=())
    assert not node.folder.capabilities.exists()
    with pytest.raises(UsageError, match="GPU 0 of node8 is whole"):
        node.load(gpus=(GpuLoad(index=0, part=1),))


def test_faults_are_told_where_a_driver_tells_them(lab: Lab) -> None:
    lab.node("node8").load(gpu_faults=((0, "ecc"), (1, "xid")))
    assert "DRAM Uncorrectable            : 2" in told(lab, "node8", "nvidia-smi -q")
    assert "Xid (PCI:0000:11:00): 79" in told(lab, "node8", "dmesg")
    with pytest.raises(UsageError, match="node8 has no GPU 2"):
        lab.node("node8").load(gpu_faults=((2, "ecc"),))


def test_the_gpu_tool_can_be_slow_fail_and_be_well_again(lab: Lab) -> None:
    node = lab.node("node8")
    node.load(gpu_tool="fail")
    assert ssh(lab, "node8", GPUS).returncode == 9
    node.load(gpu_tool="slow")
    began = time.monotonic()
    assert len(told(lab, "node8", GPUS).splitlines()) == 2
    assert time.monotonic() - began >= 0.7
    node.load(gpu_tool="well")
    assert not [switch for switch in ("slow", "fail", "hang") if (node.folder.gpu / switch).exists()]
    with pytest.raises(UsageError, match="cannot be 'lazy'"):
        node.load(gpu_tool="lazy")


def test_a_load_beyond_the_possible_is_refused(lab: Lab) -> None:
    with pytest.raises(UsageError, match="percentage"):
        lab.node("node1").load(ut_pct=101)
    with pytest.raises(UsageError, match="run queue"):
        lab.node("node1").load(r1m=-1)
    assert lab.node("node1").current_load().ut_pct == 0


def test_processes_that_really_run_show_in_the_run_queue(lab: Lab) -> None:
    lab.node("node3").load(spin=2)
    proc = lab.node("node3").folder.proc

    def seen() -> int:
        return int((proc / "loadavg").read_text().split()[3].partition("/")[0]) - 1

    eventually(lambda: seen() == 2)
    eventually(lambda: float((proc / "loadavg").read_text().split()[0]) > 0.05)
    lab.node("node3").load(spin=0)
    eventually(lambda: seen() == 0)


def test_a_killed_node_refuses_and_a_booted_one_is_new(lab: Lab) -> None:
    node = lab.node("node4")
    (node.folder.tmp / "left").touch()
    (node.folder.var / "kept").touch()
    before = node.boot_id()
    node.load(r1m=5.0)
    node.kill()
    assert node.state() is LabNodeState.DOWN
    assert lab.processes("node4") == []
    assert "Connection refused" in ssh(lab, "node4", "true").stderr
    node.boot()
    assert node.state() is LabNodeState.UP
    assert told(lab, "node4", "cat $CLBALANCE_PROCFS/sys/kernel/random/boot_id") not in {"", before}
    assert told(lab, "node4", LOADAVG).startswith("0.00")
    assert told(lab, "node4", "ls $TMPDIR $CLBALANCE_NODE_DIR | grep -e left -e kept") == "kept"


def test_a_hung_node_opens_connections_and_stays_silent_until_it_thaws(lab: Lab) -> None:
    node = lab.node("node5")
    running = subprocess.Popen(
        ["ssh", "-F", str(lab.ssh_config), "node5", "cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(b"before\n")
    running.stdin.flush()
    assert running.stdout.readline() == b"before\n"
    node.hang()
    assert node.state() is LabNodeState.HUNG
    asked = ssh(lab, "node5", "true", "-o", "ConnectTimeout=1")
    assert "timed out" in asked.stderr
    running.stdin.write(b"after\n")
    running.stdin.close()
    node.thaw()
    assert running.stdout.read() == b"after\n"
    assert running.wait() == 0
    running.stdout.close()


def test_a_hung_node_can_be_killed(lab: Lab) -> None:
    lab.node("node5").hang()
    lab.node("node5").kill()
    assert lab.node("node5").state() is LabNodeState.DOWN


def test_a_fault_lasts_until_the_next_boot(lab: Lab) -> None:
    node = lab.node("node6")
    node.boot(Fault(without=("python3",), sshd_options={"Banner": str(lab.directory / "known_hosts")}))
    done = ssh(lab, "node6", "command -v python3 || echo none; command -v sed")
    assert done.stdout.split() == ["none", str(node.folder.path / "programs/sed")]
    assert "ecdsa-sha2-nistp256" in done.stderr
    node.boot()
    assert told(lab, "node6", "command -v python3") != "none"


def test_a_changed_host_key_is_noticed_by_the_client(lab: Lab) -> None:
    lab.node("node6").boot(Fault(other_host_key=True))
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ssh(lab, "node6", "true").stderr


def test_whatever_a_test_did_the_lab_is_whole_again(lab: Lab) -> None:
    one, two, three, four = lab.nodes[:4]
    one.load(r1m=9.0)
    two.hang()
    three.kill()
    four.boot(Fault(other_host_key=True))
    told(lab, "node1", "touch $CLBALANCE_NODE_DIR/x ~/.bashrc; setsid sleep 1000 </dev/null >/dev/null 2>&1 &")
    (one.folder.bin / "df").write_text("#!/bin/sh\nexit 1\n")
    restore(lab)
    for node in lab.nodes:
        assert node.state() is LabNodeState.UP
        assert not has_fault(node)
        assert len(node.processes()) == 2, "init and sshd"
        assert [*node.folder.var.iterdir(), *node.folder.home(lab.record.user).iterdir()] == []
        assert node.current_load().r1m == 0
    assert {told(lab, name, "echo up") for name in ("node1", "node2", "node3", "node4")} == {"up"}
    assert not (one.folder.bin / "df").exists()


def test_unknown_nodes_are_named(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no node `node9`") as caught:
        lab.node("node9")
    assert caught.value.hint == "`node1` to `node8`"


def test_an_up_lab_is_not_put_up_twice_and_down_leaves_nothing(new_lab: NewLab) -> None:
    lab = new_lab(LabSpec(nodes=2, tied=True))
    with pytest.raises(LabError, match="already up"):
        Lab.up(lab.directory)
    processes = [process for node in lab.nodes for pid in node.processes() if (process := identify(pid))]
    assert len(processes) == 4
    assert take_down(lab.directory)
    assert [process for process in processes if stat_of(process)] == []
    assert not lab.directory.exists()
    assert not take_down(lab.directory)


def test_any_process_of_the_user_can_take_control(new_lab: NewLab) -> None:
    lab = Lab.find(new_lab(LabSpec(nodes=1, tied=True)).directory)
    lab.node("node1").load(r1m=2.0)
    lab.node("node1").boot()
    assert told(lab, "node1", "echo hello") == "hello"


UP_AND_STAY = (
    "import sys, signal; from pathlib import Path; from clbalance.lab.cluster import Lab; "
    "from clbalance.lab.spec import LabSpec; Lab.up(Path(sys.argv[1]), LabSpec(nodes=1, tied=sys.argv[2] == 'tied')); "
    "print('up', flush=True); signal.pause()"
)


def controller(directory: Path, tied: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", UP_AND_STAY, str(directory), tied], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    return process


@pytest.mark.sshd
def test_a_lab_outlives_its_controller_and_is_taken_down_by_another(openssh: None, tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    controller(directory, "free")
    lab = Lab.find(directory)
    assert lab.node("node1").state() is LabNodeState.UP
    lab.down()
    assert not directory.exists()


@pytest.mark.sshd
def test_a_tied_lab_ends_with_its_controller_however_that_ends(openssh: None, tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    controller(directory, "tied")
    lab = Lab.find(directory)
    eventually(lambda: lab.node("node1").state() is LabNodeState.DOWN)
    lab.down()


@pytest.mark.sshd
def test_an_up_that_was_interrupted_is_told_and_can_be_taken_down(openssh: None, tmp_path: Path) -> None:
    directory = tmp_path / "lab"
    directory.mkdir(mode=0o700)
    settle(LabSpec(nodes=2), find_programs()).write(directory)
    with pytest.raises(LabError, match="node1 was never booted"):
        Lab.find(directory).node("node1").current_load()
    assert take_down(directory)
    assert not directory.exists()


def test_two_labs_on_one_machine_do_not_meet(lab: Lab, new_lab: NewLab) -> None:
    other = new_lab(LabSpec(nodes=1, tied=True))
    assert other.record.network != lab.record.network
    assert told(other, "node1", "echo $CLBALANCE_NODE_DIR") != told(lab, "node1", "echo $CLBALANCE_NODE_DIR")
