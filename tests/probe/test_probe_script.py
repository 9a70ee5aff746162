"""`node/probe.sh` in real shells: right answers, a clean session afterwards, and what it costs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from clbalance.model import (
    Allocation,
    Cpus,
    CpuTicks,
    Gpu,
    GpuProcess,
    Lease,
    Memory,
    NumaNode,
    Pressure,
    RunQueue,
    Traffic,
    Unknown,
)
from clbalance.node import probe_script
from clbalance.probe.frame import Answered, probe_request
from clbalance.probe.reading import parse_reading

from .answers import NONCE, heard
from .conftest import HOME, Node, drain_text

REQUEST = probe_request(probe_script(), NONCE)
BUS = "GPU 00000000:07:00.0"
# As nvidia-smi answers its questions; the log as it is when nothing has been left out.
SMI = f"""case "$*" in
*compute-apps*) echo 'GPU-1-a, 4194304, python3, 1200' ;;
-q) cat <<'LOG'
Driver Version                            : 550.54.15
CUDA Version                              : 12.4

{BUS}
    Product Name                          : NVIDIA H100 80GB HBM3
    Driver Model
        Current                           : N/A
    GPU UUID                              : GPU-1-a
    GPU Reset Status
        Reset Required                    : No
    ECC Errors
        Volatile
            SRAM Uncorrectable            : 0
            DRAM Uncorrectable            : 1
    Remapped Rows
        Remapping Failure Occurred        : No
    Temperature
        GPU Current Temp                  : 41 C
        GPU Slowdown Temp                 : 89 C
    Clocks
        Graphics                          : 345 MHz
    Processes
        Process ID                        : 4194304
LOG
    ;;
*) echo 'GPU-1-a, 0, NVIDIA H100 80GB HBM3, 81559, 1234, [N/A], 41, 550.54.15' ;;
esac"""
ROCM = """echo '{"card0": {"Unique ID": "0x1a", "PCI Bus": "0000:05:00.0", "GUID": "77", "GPU use (%)": "3",'
echo ' "VRAM Total Memory (B)": "1000", "VRAM Total Used Memory (B)": "10", "Card Series": "MI300X"},'
echo ' "system": {"Driver version": "6.8.5", "PID12": "x, 1, 4, 0, 0", "PID13": "y, 1, 4, 0, 0"}}'"""


def on_bus(node: Node, driver: str, bus: str, numa: int) -> None:
    """A device that a driver holds."""
    folder = node.root / "sys/bus/pci/drivers" / driver / bus
    folder.mkdir(parents=True)
    (folder / "numa_node").write_text(f"{numa}\n")


def interface(node: Node, name: str, driver: str) -> None:
    """A network interface that is a device, as the kernel tells it."""
    folder = node.root / "sys/class/net" / name / "device"
    folder.mkdir(parents=True)
    (folder / "uevent").write_text(f"DRIVER={driver}\nPCI_CLASS=20000\nPCI_ID=8086:10FB\n")


def test_bytes_of_a_bridge_are_those_of_its_device(node: Node) -> None:
    with (node.root / "proc/net/dev").open("a") as file:
        file.write("   lan: 1000    2276    0    0    0     0          0         0   500    1506    0    0    0\n")
    interface(node, "enp129s0f0np0", "ice")
    (node.root / "sys/class/net/lan").mkdir()
    assert node.reading().net == Traffic(in_bytes=1000, out_bytes=500)


def test_a_device_that_is_a_member_of_another_counts_once(node: Node) -> None:
    with (node.root / "proc/net/dev").open("a") as file:
        file.write("  eth0: 1200    2276    0    0    0     0          0         0   600    1506    0    0    0\n")
    interface(node, "enp129s0f0np0", "mlx5_core")
    interface(node, "eth0", "hv_netvsc")
    (node.root / "sys/class/net/enp129s0f0np0/master").symlink_to("../eth0")
    assert node.reading().net == Traffic(in_bytes=1200, out_bytes=600)


def test_in_a_container_bonds_bridges_and_vlans_are_not_counted_beside_their_members(node: Node) -> None:
    with (node.root / "proc/net/dev").open("a") as file:
        for name in ("uplink", "lan", "office"):
            file.write(
                f"{name:>6}: 1000    2276    0    0    0     0          0         0   500    1506    0    0    0\n"
            )
    for upper, lower in (("uplink", "enp129s0f0np0"), ("lan", "uplink"), ("office", "lan")):
        folder = node.root / "sys/class/net" / upper / f"lower_{lower}"
        folder.mkdir(parents=True)
        (folder / "ifindex").write_text("2\n")
    assert node.reading().net == Traffic(in_bytes=1000, out_bytes=500)


def test_every_shell_tells_all_that_the_node_has(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    node.program("dmesg", "echo '[ 1.0] eth0: up'")
    on_bus(node, "nvidia", "0000:07:00.0", 1)
    node.program("python3", "")
    with node.lease(f"{HOME}/lease-0123.1"):
        reading = node.reading()
    assert reading.boot_id == "518f4b64-bf6a-4c54-9224-61ba82540703"
    assert reading.uptime_s == 2524.95
    assert reading.run_queue == RunQueue(r1m=1.25, r5m=0.5, r15m=0.1, rq=2)
    assert reading.cpus == Cpus(online=2, model="AMD EPYC", numa=(NumaNode(id=0, cpus=(0,)), NumaNode(id=1, cpus=(1,))))
    assert reading.cpu_ticks == CpuTicks(busy=160, total=1000)
    assert reading.memory == Memory(
        total_bytes=1_024_000_000, available_bytes=614_400_000, swap_total_bytes=2_048_000, swap_free_bytes=1_024_000
    )
    assert reading.pressure == Pressure(cpu_pct=1.5, mem_pct=0.25, io_pct=0.0)
    assert reading.disk == Traffic(in_bytes=10_240, out_bytes=20_480)
    assert reading.net == Traffic(in_bytes=1000, out_bytes=500)
    assert reading.python == str(node.root / "bin/python3")
    assert not isinstance(reading.tmp, Unknown)
    assert reading.tmp.path == str(node.root / "tmp")
    assert reading.tmp.total_bytes // 1024 == os.statvfs(node.root).f_blocks * os.statvfs(node.root).f_frsize // 1024
    assert reading.gpus == (
        Gpu(
            uuid="GPU-1-a",
            index=0,
            model="NVIDIA H100 80GB HBM3",
            mem_total_bytes=81559 << 20,
            mem_used_bytes=1234 << 20,
            use_pct=Unknown(reason="[N/A]"),
            temperature_c=41.0,
            driver_version="550.54.15",
            processes=(GpuProcess(pid=4194304, name="python3", mem_bytes=1200 << 20),),
            cuda_version="12.4",
            numa_node=1,
            fault="1 uncorrected ECC error",
            bus_id="00000000:07:00.0",
        ),
    )
    assert reading.uid == os.getuid()
    assert reading.leases == (
        Lease(
            key="0123",
            attempt=1,
            uid=os.getuid(),
            allocation=Allocation(cpus=2.0, slots=1, uptime_s=2500.5, name="train"),
        ),
    )
    assert reading.drains == ()


def test_every_shell_leaves_out_what_nobody_wants_to_know_of_a_gpu(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    log = node.sections()["gpu_log"]
    assert log.status == "0"
    assert BUS in log.text
    assert "        Remapping Failure Occurred        : No" in log.text.split("\n")
    assert not [line for line in log.text.split("\n") if "Graphics" in line or "Driver" in line]


def test_every_shell_looks_for_parts_only_where_there_are_any(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    assert "gpu_parts" not in node.sections()
    (node.root / "proc/driver/nvidia/capabilities/gpu0/mig/gi7").mkdir(parents=True)
    assert node.sections()["gpu_parts"].status == "0"


def test_every_shell_sees_that_mps_takes_clients_and_opens_nothing(node: Node) -> None:
    node.env["CUDA_MPS_PIPE_DIRECTORY"] = str(node.root / "mps")
    (node.root / "mps").mkdir()
    os.mkfifo(node.root / "mps/control")
    assert node.reading().gpu_mps is False  # without a device of NVIDIA
    node.program("nvidia-smi", SMI)
    assert node.reading().gpu_mps is True
    (node.root / "mps/control").unlink()
    (node.root / "mps/control").touch()
    assert node.reading().gpu_mps is False


def test_a_kernel_log_that_may_not_be_read_is_told_as_unseen(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    node.program("dmesg", "echo 'dmesg: read kernel buffer failed: Operation not permitted' >&2; exit 1")
    gpus = node.reading().gpus
    assert not isinstance(gpus, Unknown)
    assert "Xids: the kernel's log is not for users of this node" in gpus[0].unseen


def test_a_grave_xid_is_not_pushed_out_by_harmless_ones(node: Node) -> None:
    node.program("nvidia-smi", SMI.replace("DRAM Uncorrectable            : 1", "DRAM Uncorrectable            : 0"))
    grave = "[ 9.0] NVRM: Xid (PCI:0000:07:00): 79, pid=1, name=x, GPU has fallen off the bus."
    harmless = "NVRM: Xid (PCI:0000:07:00 GPU-I:05): 31, pid=$i, name=python3, MMU Fault"
    noise = f'i=0; while [ $((i += 1)) -lt 3000 ]; do echo "[ $i.0] eth0: noise"; echo "[ $i.1] {harmless}"; done'
    node.program("dmesg", f"echo '{grave}'; {noise}")
    sections = node.sections()
    lines = sections["gpu_faults"].text.split("\n")
    assert lines == [grave, f"[ 2999.1] {harmless.replace('$i', '2999')}"]
    gpus = parse_reading(sections).gpus
    assert not isinstance(gpus, Unknown)
    assert gpus[0].fault == "Xid 79: GPU has fallen off the bus"


def test_a_fatal_nvlink_error_is_not_pushed_out_by_a_nonfatal_one(node: Node) -> None:
    node.program("nvidia-smi", SMI.replace("DRAM Uncorrectable            : 1", "DRAM Uncorrectable            : 0"))
    fatal, nonfatal = (f"NVRM: Xid (PCI:0000:07:00): 145, RLW_RXPIPE {word}" for word in ("Fatal", "Nonfatal XC0"))
    node.program("dmesg", f"echo '{fatal}'; echo '{nonfatal}'; echo '{nonfatal}'")
    sections = node.sections()
    assert sections["gpu_faults"].text.split("\n") == [fatal, nonfatal]
    gpus = parse_reading(sections).gpus
    assert not isinstance(gpus, Unknown)
    assert gpus[0].fault == "Xid 145: RLW_RXPIPE Fatal"


def test_a_kernel_log_is_sent_up_to_a_bound(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    long = "x" * 1000
    loop = f'while [ $((i += 1)) -le 2000 ]; do echo "[ $i.0] NVRM: Xid (PCI:0000:07:00): $i, {long}"; done'
    node.program("dmesg", f"i=0; {loop}")
    lines = node.sections()["gpu_faults"].text.split("\n")
    assert len(lines) == 1024
    assert lines[-1].startswith("[ 2000.0]")
    assert max(map(len, lines)) == 300


def test_a_device_that_its_driver_has_lost_does_not_take_the_others_along(node: Node) -> None:
    lost = "Unable to determine the device handle for GPU0000:08:00.0: Unknown Error"
    node.program("nvidia-smi", f"echo '{lost}' >&2\n{SMI}\nexit 255")
    gpus = node.reading().gpus
    assert isinstance(gpus, tuple)
    assert [(gpu.uuid, gpu.index, gpu.fault) for gpu in gpus] == [
        ("GPU-1-a", 0, "1 uncorrected ECC error"),
        ("GPU-nvidia-1", 1, "Unknown Error"),
    ]
    assert gpus[0].processes == (GpuProcess(pid=4194304, name="python3", mem_bytes=1200 << 20),)


def test_a_vendor_without_its_driver_does_not_take_the_other_along(node: Node) -> None:
    node.program("nvidia-smi", SMI)
    node.program("rocm-smi", "echo 'ERROR:root:Driver not initialized (amdgpu not found in modules)' >&2; exit 2")
    reading = node.reading()
    assert isinstance(reading.gpus, tuple)
    assert [gpu.uuid for gpu in reading.gpus] == ["GPU-1-a"]
    assert reading.gpus_missing == ("ERROR:root:Driver not initialized (amdgpu not found in modules)",)
    node.program("rocm-smi", ROCM)
    node.program("nvidia-smi", "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    reading = node.reading()
    assert isinstance(reading.gpus, tuple)
    assert [gpu.uuid for gpu in reading.gpus] == ["GPU-000000000000001a"]
    assert reading.gpus_missing == ("Failed to initialize NVML: Driver/library version mismatch",)


def test_devices_of_amd_are_told_with_who_is_on_them(node: Node) -> None:
    node.program("rocm-smi", ROCM)
    on_bus(node, "amdgpu", "0000:05:00.0", 0)
    held = node.root / "sys/class/kfd/kfd/proc"
    for pid, size in ((12, 4), (13, 0)):
        (held / str(pid)).mkdir(parents=True)
        (held / str(pid) / "vram_77").write_text(f"{size}\n")
    gpus = node.reading().gpus
    assert not isinstance(gpus, Unknown)
    (gpu,) = gpus
    assert (gpu.uuid, gpu.model, gpu.use_pct, gpu.numa_node) == ("GPU-000000000000001a", "MI300X", 3.0, 0)
    assert not isinstance(gpu.processes, Unknown)
    assert [process.pid for process in gpu.processes] == [12]


def test_the_real_proc_reads_well(dash_node: Node) -> None:
    del dash_node.env["CLBALANCE_PROCFS"], dash_node.env["CLBALANCE_SYSFS"], dash_node.env["CLBALANCE_NODE_DIR"]
    reading = dash_node.reading()
    parts = (reading.boot_id, reading.uptime_s, reading.run_queue, reading.cpus, reading.cpu_ticks, reading.memory)
    assert not [part for part in parts if isinstance(part, Unknown)]
    assert isinstance(reading.cpus, Cpus)
    assert reading.cpus.online == os.cpu_count()


@pytest.mark.parametrize("login_shell", ["csh", "tcsh", "fish", "bash"])
def test_any_login_shell_will_do(dash_node: Node, login_shell: str) -> None:
    # Each needs a home for its own files.
    dash_node.env["HOME"] = str(dash_node.root)
    answer = heard(dash_node.says(REQUEST, argv=[login_shell, "-c", "exec /bin/sh -s"]))
    assert isinstance(answer, Answered)
    assert parse_reading(answer.sections).run_queue == RunQueue(r1m=1.25, r5m=0.5, r15m=0.1, rq=2)


def test_a_request_may_come_from_a_file(node: Node) -> None:
    (node.root / "request").write_bytes(REQUEST + b"echo after\n")
    with (node.root / "request").open("rb") as request:
        done = subprocess.run(
            [*node.shell, "-s"], stdin=request, capture_output=True, env=node.env, timeout=120, check=True
        )
    assert isinstance(heard(done.stdout.splitlines()), Answered)
    assert done.stdout.endswith(b"\nafter\n")


def test_a_profile_that_prints_changes_nothing(node: Node) -> None:
    noise = f"echo '{NONCE} end'; echo '{'f' * 32} begin'; printf 'no newline at the end: $ '\n".encode()
    assert node.sections(before=noise).keys() == node.sections().keys()


def test_an_almost_empty_environment_will_do(node: Node) -> None:
    node.env["PATH"] = "/nowhere"
    assert isinstance(node.reading().run_queue, RunQueue)
    del node.env["PATH"]
    assert isinstance(node.reading().run_queue, RunQueue)


def test_settings_of_grep_ls_and_df_do_not_reach_the_probe(node: Node) -> None:
    node.mark(f"{HOME}/drain", drain_text("x" * 150))
    plain = node.reading()
    node.env.update(
        {
            "GREP_OPTIONS": "--color=always",
            "GREP_COLORS": "mt=01;31",
            "TIME_STYLE": "long-iso",
            "QUOTING_STYLE": "c",
            "BLOCK_SIZE": "1M",
            "DF_BLOCK_SIZE": "1M",
            "LC_ALL": "C.UTF-8",
        }
    )
    message = node.reading()
    assert message.memory == plain.memory
    assert message.drains == plain.drains
    assert not isinstance(plain.drains, Unknown)
    assert [mark.reason for mark in plain.drains] == ["x" * 150]
    assert not isinstance(message.tmp, Unknown)


def test_the_session_goes_on_as_if_nothing_had_been(node: Node) -> None:
    functions = " ".join(re.findall(r"^ +(\w+)\(\) {$", probe_script(), re.MULTILINE))
    assert "guarded" in functions
    facts = f"pwd; trap; umask; echo $-; for name in {functions}; do command -v $name; done; set; echo shown\n".encode()
    lines = node.says(facts + REQUEST + facts)
    before, after = lines[: lines.index(b"shown")], lines[lines.index(f"{NONCE} end".encode()) + 1 : -1]
    # What bash notes about the last command.
    changing = (b"_=", b"BASH_", b"PIPESTATUS=", b"LINENO=", b"EPOCH", b"RANDOM=", b"SRANDOM=", b"SECONDS=")
    assert [line for line in before if not line.startswith(changing)] == [
        line for line in after if not line.startswith(changing)
    ]


def test_nothing_is_left_running_and_nothing_open(node: Node) -> None:
    with subprocess.Popen([*node.shell, "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=node.env) as shell:
        to_shell, from_shell = shell.stdin, shell.stdout
        assert to_shell is not None
        assert from_shell is not None

        def until(wanted: bytes, text: bytes) -> None:
            to_shell.write(text)
            to_shell.flush()
            while from_shell.readline().rstrip() != wanted:
                pass

        open_files = Path(f"/proc/{shell.pid}/fd")
        until(b"ready", b"echo ready\n")
        files = sorted(open_files.iterdir())
        until(b"after", REQUEST + b"echo after\n")
        assert psutil.Process(shell.pid).children(recursive=True) == []
        assert sorted(open_files.iterdir()) == files
        until(b"5", b"echo $((2 + 3))\n")


def test_variables_of_the_user_are_not_the_probes(node: Node) -> None:
    # One that must not be killed, where the probe would look for the child that hangs.
    with subprocess.Popen(["sleep", "60"]) as bystander:
        try:
            names = (
                "load",
                "child",
                "alarm",
                "job",
                "marks",
                "count",
                "m",
                "nl",
                "line",
                "folder",
                "small",
                "status",
                "drains",
                "admins",
                "home",
                "inodes",
                "many",
                "drained",
                "has_gpus",
                "part",
                "sys",
                "names",
            )
            node.env.update(dict.fromkeys(names, str(bystander.pid)))
            shutil.rmtree(node.root / "proc")
            reading = node.reading()
            assert reading.run_queue == Unknown(reason="no /proc/loadavg")
            assert reading.leases == ()
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_without_stat_leases_are_unknown_not_none(dash_node: Node) -> None:
    dash_node.mark(f"{HOME}/lease-0123.1", "mine")
    # PATH always ends with the system's folders: only the shell's own table can hide a program.
    request = REQUEST.replace(b"in stat grep ", b"in no-such-stat grep ")
    answer = heard(dash_node.says(request))
    assert isinstance(answer, Answered)
    assert parse_reading(answer.sections).leases == Unknown(reason="reading the node folder failed with 127")


def test_a_session_can_be_probed_again(node: Node) -> None:
    other = "f" * 32
    lines = node.says(REQUEST + probe_request(probe_script(), other) + b"echo after\n")
    one, two = heard(lines), heard(lines, other)
    assert isinstance(one, Answered)
    assert isinstance(two, Answered)
    assert one.sections["proc"] == two.sections["proc"]
    assert lines[-1] == b"after"


def test_a_kernel_without_psi_costs_pressure_only(node: Node) -> None:
    shutil.rmtree(node.root / "proc/pressure")
    reading = node.reading()
    assert reading.pressure == Unknown(reason="no pressure stall information")
    assert isinstance(reading.memory, Memory)


def test_a_machine_without_proc_still_ends_its_answer(node: Node) -> None:
    shutil.rmtree(node.root / "proc")
    reading = node.reading()
    assert reading.run_queue == Unknown(reason="no /proc/loadavg")
    assert not isinstance(reading.tmp, Unknown)


def test_a_temporary_folder_that_is_gone_falls_back_to_tmp(node: Node) -> None:
    node.env["TMPDIR"] = "/gone"
    tmp = node.reading().tmp
    assert not isinstance(tmp, Unknown)
    assert tmp.path == "/tmp"


def test_interrupt_counters_are_not_sent(node: Node) -> None:
    assert len(b"\n".join(node.says(REQUEST))) < 3_000


def test_the_usual_probe_runs_three_programs(node: Node) -> None:
    log = node.root / "log"
    node.mark(f"{HOME}/jobs/ended/exit")
    for name in ("awk", "cat", "df", "find", "grep", "head", "ls", "sed", "sleep", "stat", "tr", "wc"):
        node.program(name, f'echo {name} >>{log}\nexec {shutil.which(name)} "$@"')
    node.sections()
    ran = log.read_text().split()
    # The alarm may be ended before it has written its word.
    assert sorted(set(ran) - {"sleep"}) == ["df", "grep"]
    assert len(ran) <= 3


@pytest.mark.root
def test_the_usual_probe_is_seven_processes(node: Node) -> None:
    # In a pid namespace of their own, pids tell how many there were: the shell is 2, the last command comes next.
    node.mark(f"{HOME}/jobs/ended/exit")
    script = node.root / "request"
    counted = b"sh -c 'echo $$'\n"
    script.write_bytes(REQUEST + counted)
    inside = f"{' '.join(node.shell)} -s <{script}; :"
    lines = node.says(b"", argv=["unshare", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", inside])
    assert int(lines[-1]) - 2 - 1 <= 7
