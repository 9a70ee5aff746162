"""GPUs as they are, on nodes of a lab: what is busy, held idle, faulty or cut is avoided, and told why."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.lab.load import MIB, GpuLoad
from clbalance.lab.spec import LabSpec
from clbalance.render.reports.nodes.load import LOAD_FIELDS
from tests.cli.command import THIS_TREE, Command
from tests.conftest import NewLab, environment_of

GIB = 2**30


def gpus_of(clbalance: Command, node: str) -> list[dict[str, object]]:
    (parsed,) = json.loads(clbalance("load", "-w", node, "--json").stdout)["nodes"]
    gpus: list[dict[str, object]] = parsed["gpus"]
    return gpus


def why_not(clbalance: Command, node: str, *arguments: str) -> str:
    """The reason of the only node that was named."""
    done = clbalance("pick", "-w", node, *arguments, "--explain", "--format", "plain")
    assert (done.rc, done.stdout) == (3, b""), done
    return next(line for line in done.stderr.splitlines() if line.startswith(f"{node}\tunfit")).split("\t")[3]


def looked_at_before(clbalance: Command, minutes: tuple[int, ...]) -> None:
    """As if the last look had been the same so many minutes ago."""
    with closing(sqlite3.connect(Path(clbalance.env["CLBALANCE_STATE_DIR"]) / "state.db")) as database:
        for at, ago in enumerate(minutes):
            database.execute(
                "INSERT OR REPLACE INTO look SELECT node, (slot + ?) % 23, at_s - ?, told FROM look"
                " WHERE at_s = (SELECT max(at_s) FROM look AS newest WHERE newest.node = look.node)",
                (at + 1, ago * 60),
            )
        database.commit()


def test_a_stranger_that_computes_and_a_device_that_is_broken_are_avoided_each_for_its_reason(
    lab: Lab, clbalance: Command
) -> None:
    stranger = GpuLoad(index=0, use_pct=95, mem_used_bytes=30 * GIB, process="train.py")
    lab.node("node5").load(gpus=(stranger,), gpu_faults=((1, "ecc"),))
    assert why_not(clbalance, "node5", "--gpus", "1") == (
        "too few GPUs free: 1 requested, 0 of 2 free: GPU 0 busy (95% used, 30 GiB held by train.py (pid 400000)),"
        " GPU 1 faulty (2 uncorrected ECC errors)"
    )
    done = clbalance("run", "-q", "-w", "node[5-6]", "--gpus", "1", "-c", "echo $CLBALANCE_NODE")
    assert done.text == "node6\n"
    explained = clbalance("explain", "last", "--format", "plain").text
    assert "GPU 1 faulty (2 uncorrected ECC errors)" in explained
    message = clbalance("load", "-w", "node5").text
    assert "0/2 free 1 faulty" in message
    assert "GPU 1 faulty: 2 uncorrected ECC errors" in message
    assert (
        clbalance("load", "-w", "node5", "--format", "plain").lines[0].split("\t")[LOAD_FIELDS.index("gpu_states")]
        == "busy,faulty"
    )


def test_faults_of_every_kind_keep_a_device_out(lab: Lab, clbalance: Command) -> None:
    node = lab.node("node5")
    for fault, message in (
        ("pages", "page retirement pending"),
        ("rows", "row remapping failed"),
        ("sram", "more SRAM errors than a device may have"),
        ("memory", "unrepairable memory"),
        ("hot", "95 C, slowdown at 92 C"),
        ("reset", "a reset is required"),
        ("xid", "Xid 79: GPU has fallen off the bus"),
    ):
        node.load(gpu_faults=((0, fault),))
        assert [(gpu["state"], gpu["reason"]) for gpu in gpus_of(clbalance, "node5")] == [
            ("faulty", message),
            ("free", None),
        ]
    node.load(gpu_faults=())
    assert [gpu["state"] for gpu in gpus_of(clbalance, "node5")] == ["free", "free"]


def test_one_sick_device_of_four_is_named_and_jobs_are_placed_on_the_other_three(
    new_lab: NewLab, tmp_path: Path
) -> None:
    lab = new_lab(LabSpec(nodes=1, gpus=4))
    clbalance = Command(env={**environment_of(lab, tmp_path), **THIS_TREE}, folder=tmp_path)
    with clbalance.opened:
        for fault, state, reason in (
            ("stuck", "faulty", "GPU requires reset"),
            ("silent", "unknown", "memory unknown: [Unknown Error]"),
            ("unified", "unknown", "memory unknown: [N/A]"),
            ("lost", "faulty", "Xid 79: GPU has fallen off the bus"),
        ):
            lab.node("node1").load(gpu_faults=((1, fault),))
            gpus = {gpu["index"]: gpu for gpu in gpus_of(clbalance, "node1")}
            assert (gpus[1]["state"], gpus[1]["reason"]) == (state, reason)
            assert [gpus[index]["state"] for index in (0, 2, 3)] == ["free"] * 3
            assert f"GPU 1 {state}: {reason}" in clbalance("load", "-w", "node1").text
            done = clbalance("run", "-q", "-w", "node1", "--gpus", "3", "-c", "echo $CUDA_VISIBLE_DEVICES")
            assert (done.rc, set(done.text.strip().split(","))) == (0, {gpus[index]["uuid"] for index in (0, 2, 3)})
            assert f"GPU 1 {state} ({reason})" in why_not(clbalance, "node1", "--gpus", "4")


def test_memory_that_is_held_and_nothing_computed_over_several_sweeps_is_held_idle(
    lab: Lab, clbalance: Command
) -> None:
    lab.node("node5").load(gpus=(GpuLoad(index=0, mem_used_bytes=30 * GIB, process="notebook"),))
    assert [gpu["state"] for gpu in gpus_of(clbalance, "node5")] == ["busy", "free"]
    looked_at_before(clbalance, (10, 20, 30))
    held, free = gpus_of(clbalance, "node5")
    assert (held["state"], free["state"]) == ("held idle", "free")
    assert str(held["reason"]).startswith("30 GiB held by notebook (pid 400000), at most 0% used at ")
    assert "GPU 0 held idle (30 GiB held by notebook" in why_not(clbalance, "node5", "--gpus", "2")
    lab.node("node5").boot()
    lab.node("node5").load(gpus=(GpuLoad(index=0, mem_used_bytes=30 * GIB, process="notebook"),))
    assert gpus_of(clbalance, "node5")[0]["state"] == "busy"


def test_mig_instances_are_given_one_by_one_and_their_parent_never(lab: Lab, clbalance: Command) -> None:
    stranger = GpuLoad(index=0, part=0, mem_used_bytes=4 * GIB, process="notebook")
    lab.node("node5").load(gpu_parts=((0, 2),), gpu_faults=((1, "rows"),), gpus=(stranger,))
    first, second, whole = gpus_of(clbalance, "node5")
    assert [(gpu["state"], gpu["model"]) for gpu in (first, second)] == [
        ("busy", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
        ("free", "NVIDIA A100-SXM4-40GB MIG 3g.20gb"),
    ]
    assert (first["parent"] == second["parent"], whole["parent"]) == (True, None)
    done = clbalance("run", "-q", "-w", "node5", "--gpus", "1", "-c", "echo $CUDA_VISIBLE_DEVICES")
    assert done.text == f"{second['uuid']}\n"
    assert why_not(clbalance, "node5", "--gpus", "2").startswith(
        "too few whole GPUs: 2 requested, 0 of 3 free: GPU 0 part MIG-"
    )


def test_memory_asked_for_is_free_on_the_device(lab: Lab, clbalance: Command) -> None:
    lab.node("node5").load(gpus=tuple(GpuLoad(index=index, mem_used_bytes=1000 * MIB) for index in (0, 1)))
    wanted = ("-w", "node[5-6]", "--gpus", "2", "--gpu-mem", "39.5G")
    assert clbalance("pick", *wanted).text == "node6\n"
    assert why_not(clbalance, "node5", "--gpus", "1", "--gpu-mem", "39.5G") == (
        "too little GPU memory free: 1 requested, 0 of 2 free with 39.5 GiB: GPU 0 free (NVIDIA A100-SXM4-40GB, 39 GiB free),"
        " GPU 1 free (NVIDIA A100-SXM4-40GB, 39 GiB free)"
    )
    share = ("--gpu-share", "0.5", "--gpu-mem", "30G")
    assert clbalance("pick", "-w", "node6", *share).text == "node6\n"


def test_a_tool_that_is_slow_is_waited_for_and_one_that_hangs_costs_what_it_would_have_told(
    lab: Lab, clbalance: Command
) -> None:
    node = lab.node("node5")
    node.load(gpu_tool="slow")
    assert [(gpu["state"], gpu["cuda_version"]) for gpu in gpus_of(clbalance, "node5")] == [("free", "12.4")] * 2
    node.load(gpu_tool="nolog")
    parts = gpus_of(clbalance, "node5")
    assert [(gpu["state"], gpu["unseen"]) for gpu in parts] == [("free", ["health: `nvidia-smi -q` timed out"])] * 2
    node.load(gpu_tool="hang")
    assert why_not(clbalance, "node5", "--gpus", "1") == "GPUs unknown: `nvidia-smi` timed out"
    assert clbalance("pick", "-w", "node5").text == "node5\n"


def test_the_lab_command_makes_such_gpus_while_nodes_run(lab: Lab, clbalance: Command) -> None:
    done = clbalance(
        *("lab", "load", "node5", "--gpu-parts", "0:3", "--gpu", "0.1:0%:2G:notebook", "--gpu-fault", "1:hot"),
        *("--dir", str(lab.directory)),
    )
    assert done.rc == 0, done
    assert (
        clbalance("load", "-w", "node5", "--format", "plain").lines[0].split("\t")[LOAD_FIELDS.index("gpu_states")]
        == "free,busy,free,faulty"
    )
    assert clbalance("lab", "load", "node1", "--gpu-fault", "0:ecc", "--dir", str(lab.directory)).rc == 2
    assert clbalance("lab", "load", "node5", "--gpu-tool", "lazy", "--dir", str(lab.directory)).rc == 2


def test_memory_of_gpus_that_are_not_asked_for_is_a_mistake(clbalance: Command) -> None:
    done = clbalance("pick", "--gpu-mem", "20G")
    assert (done.rc, "add `--gpus 1`" in done.stderr) == (2, True)
    assert clbalance("pick", "--gpus", "1", "--gpu-mem", "lots").rc == 2


# -- jobs that ask for no GPU

SIGHT = ("-c", 'echo "$CLBALANCE_NODE ${CUDA_VISIBLE_DEVICES-unset} ${CUDA_DEVICE_ORDER-unset}"')
FILLED = tuple(GpuLoad(index=index, use_pct=95, mem_used_bytes=38 * GIB, process="train") for index in (0, 1))


def test_the_first_command_of_the_readme_goes_where_gpus_are_free_and_says_how_to_reserve_one(
    lab: Lab, clbalance: Command
) -> None:
    lab.node("node5").load(gpus=FILLED)
    for number in (6, 7, 8):
        lab.node(f"node{number}").load(r1m=0.5)
    done = clbalance("run", "-g", "gpu-nodes", "--explain", "--", "true")
    assert "; 2 GPUs free there, `--gpus 1` reserves one\n" in done.stderr
    assert re.search(r"node5 +fits .* gpu 1[.][0-9]x8 [(]0 of 2 GPUs free [(]2 busy[)]", done.stderr), done.stderr
    assert clbalance("pick", "-g", "gpu-nodes").text != "node5\n"
    order = [line.split("\t")[0] for line in clbalance("load", "-g", "gpu-nodes", "--format", "plain").lines]
    assert order[-1] == "node5"
    assert re.search(r"gpu 1[.][0-9]x8", clbalance("explain", "last").text)
    (clbalance.folder / "clbalance.toml").write_text("[policy.weights]\ngpu = 0\n")
    assert clbalance("pick", "-g", "gpu-nodes").text == "node5\n"


def test_of_all_nodes_a_job_without_gpus_takes_one_that_has_none(clbalance: Command) -> None:
    done = clbalance("run", "-a", "-c", "echo $CLBALANCE_NODE")
    assert done.text.strip() in {"node1", "node2", "node3", "node4"}
    assert "GPU" not in done.stderr


def test_a_job_without_gpus_sees_those_that_nobody_else_has_leased(lab: Lab, clbalance: Command) -> None:
    both = ",".join(str(gpu["uuid"]) for gpu in gpus_of(clbalance, "node5"))
    assert clbalance("run", "-q", "-w", "node5", *SIGHT).text == f"node5 {both} PCI_BUS_ID\n"
    assert clbalance("run", "-q", "-w", "node5", "--exclusive", *SIGHT).text == "node5 unset unset\n"
    assert clbalance("run", "-q", "-w", "node1", *SIGHT).text == "node1 unset unset\n"
    chosen = ("--env", "CUDA_VISIBLE_DEVICES=1")
    assert clbalance("run", "-q", "-w", "node5", *chosen, *SIGHT).text == "node5 1 unset\n"
    tasks = ("--no-label", "--array", "1-2", "-c", 'echo "$CUDA_VISIBLE_DEVICES"')
    assert clbalance("run", "-q", "-w", "node5", *tasks).text == f"{both}\n{both}\n"


def test_what_strangers_use_is_hidden_where_that_is_set(lab: Lab, clbalance: Command) -> None:
    lab.node("node5").load(gpus=FILLED[:1])
    used, free = (str(gpu["uuid"]) for gpu in gpus_of(clbalance, "node5"))
    for hide, seen in (("leased", f"{used},{free}"), ("used", free), ("never", "unset")):
        (clbalance.folder / "clbalance.toml").write_text(f'[gpus]\nhide = "{hide}"\n')
        assert clbalance("run", "-q", "-w", "node5", *SIGHT).text.split()[1] == seen
    lab.node("node5").load(gpus=FILLED)
    (clbalance.folder / "clbalance.toml").write_text('[gpus]\nhide = "used"\n')
    done = clbalance("run", "-w", "node5", *SIGHT)
    assert done.text == "node5  PCI_BUS_ID\n"
    assert "warning: node5: the job sees no GPU: all are leased or used by others\n" in done.stderr
    (clbalance.folder / "clbalance.toml").write_text('[gpus]\nhide = "some"\n')
    done = clbalance("run", "-w", "node5", "--", "true")
    assert (done.rc, 'give "leased", "used" or "never"' in done.stderr) == (2, True)


def test_gpus_that_cannot_be_read_are_not_hidden_and_that_is_said(lab: Lab, clbalance: Command) -> None:
    lab.node("node5").load(gpu_tool="fail")
    done = clbalance("run", "-w", "node5", *SIGHT)
    assert done.text == "node5 unset unset\n"
    assert (
        "warning: node5: all GPUs are visible to the job, because their state could not be read: NVIDIA-SMI has failed"
        in done.stderr
    )


def test_where_mps_runs_a_share_is_a_limit(lab: Lab, clbalance: Command) -> None:
    share = ("-q", "-w", "node5", "--gpu-share", "0.25")
    limits = ("-c", 'echo "${CUDA_MPS_ACTIVE_THREAD_PERCENTAGE-no} ${CUDA_MPS_PINNED_DEVICE_MEM_LIMIT-no}"')
    assert clbalance("run", *share, *limits).text == "no no\n"
    lab.node("node5").load(gpus=(GpuLoad(index=0, process="nvidia-cuda-mps-server"),))
    assert clbalance("run", *share, *limits).text == "25 0=10240M\n"
    own = ("--env", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50")
    assert clbalance("run", *share, *own, *limits).text == "50 0=10240M\n"
    assert clbalance("run", "-q", "-w", "node5", "--gpus", "1", *limits).text == "no no\n"
