from pathlib import Path

import pytest

from clbalance.errors import LabError, UsageError
from clbalance.lab.config_files import find_programs
from clbalance.lab.gpu_devices import parse_gpu_fault, parse_gpu_load, parse_gpu_parts
from clbalance.lab.load import GpuLoad, Load, Order
from clbalance.lab.spec import LabSpec, LabUser, parse_isolation, parse_users
from clbalance.units import parse_size


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("0", 0), ("512M", 512 * 2**20), ("16G", 16 * 2**30), ("1.5T", 3 * 2**39), ("7kib", 7168), ("4", 4)],
)
def test_a_size_is_in_powers_of_1024(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "G", "-1G", "1X", "1e9", "nan", "9999999T", "1 000"])
def test_what_is_no_size_is_an_error_with_examples(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size") as caught:
        parse_size(text)
    assert "`16G`" in caught.value.hint


@pytest.mark.parametrize(
    "wrong",
    [
        {"nodes": 0},
        {"nodes": 251},
        {"cpus": 0},
        {"gpus": -1},
        {"gpus": 17},
        {"mem_bytes": 0},
        {"swap_bytes": -1},
        {"max_startups": "many"},
        {"max_startups": "10:30:100\nPermitRootLogin yes"},
        {"users": (LabUser(name="a;b", uid=2001),)},
        {"users": (LabUser(name="alice", uid=0),)},
        {"users": (LabUser(name="alice", uid=2001, shell="/no/such/shell"),)},
        {"users": (LabUser(name="alice", uid=2001, shell="sh"),)},
        {"users": (LabUser(name="alice", uid=2001), LabUser(name="alice", uid=2002))},
        {"users": (LabUser(name="alice", uid=2001), LabUser(name="bob", uid=2001))},
    ],
    ids=str,
)
def test_a_specification_that_makes_no_lab_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        LabSpec(**wrong)  # type: ignore[arg-type]


def test_the_second_half_of_the_nodes_has_the_gpus() -> None:
    groups = LabSpec(nodes=5).groups()
    assert groups["cpu"] == groups["rack1"] == ("node1", "node2")
    assert groups["gpu-nodes"] == groups["rack2"] == ("node3", "node4", "node5")
    assert groups["all"] == groups["cpu"] + groups["gpu-nodes"]


def test_a_single_node_is_in_every_group() -> None:
    assert set(LabSpec(nodes=1).groups().values()) == {("node1",)}


def test_users_get_uids_in_their_order() -> None:
    assert parse_users("alice,bob:/bin/bash") == (
        LabUser(name="alice", uid=2001),
        LabUser(name="bob", uid=2002, shell="/bin/bash"),
    )
    assert parse_users("") == ()


def test_an_unknown_isolation_is_answered_with_the_known_ones() -> None:
    assert parse_isolation("") is None
    with pytest.raises(UsageError) as caught:
        parse_isolation("docker")
    assert caught.value.hint == "`namespaces` or `subreaper`"


def test_the_load_of_a_gpu_reads_as_index_use_memory_program() -> None:
    assert parse_gpu_load("1:95%:30G:train.py") == GpuLoad(
        index=1, use_pct=95, mem_used_bytes=30 * 2**30, process="train.py"
    )
    assert parse_gpu_load("0:5:0") == GpuLoad(index=0, use_pct=5)


@pytest.mark.parametrize("text", ["", "0", "0:5", "x:5:1G", "0:5:1G:a,b", "0:5:1G:a\nb", "0:5:41G", "0:5:lots"])
def test_what_is_no_gpu_load_is_an_error(text: str) -> None:
    with pytest.raises(UsageError):
        parse_gpu_load(text)


def test_a_gpu_keeps_its_load_while_another_is_set() -> None:
    first = Load().with_gpus([GpuLoad(index=1, use_pct=50)])
    both = first.with_gpus([GpuLoad(index=0, use_pct=10)])
    assert [gpu.index for gpu in both.gpus] == [0, 1]
    assert both.gpu(1).use_pct == 50
    assert both.with_gpus([GpuLoad(index=1)]).gpu(1).use_pct == 0


def test_a_part_of_a_gpu_has_a_load_of_its_own() -> None:
    assert parse_gpu_load("0.2:0%:3G") == GpuLoad(index=0, part=2, mem_used_bytes=3 * 2**30)
    load = Load().with_gpu_facts([(0, 3)], []).with_gpus([GpuLoad(index=0, part=2, use_pct=9), GpuLoad(index=1)])
    assert (load.gpu(0, 2).use_pct, load.gpu(0, 1).use_pct) == (9, 0)
    assert load.with_gpu_facts([(0, 0)], []).gpus == (GpuLoad(index=1),)


def test_parts_and_faults_read_as_index_and_what() -> None:
    assert parse_gpu_parts("1:7") == (1, 7)
    assert parse_gpu_fault("0:ecc") == (0, "ecc")
    load = Load().with_gpu_facts([], [(0, "ecc")]).with_gpu_facts([], [(1, "hot"), (0, "none")])
    assert load.gpu_faults == ((0, "none"), (1, "hot"))


@pytest.mark.parametrize("text", ["", "0", "0:8", "0:x", "x:1", "-1:2"])
def test_what_is_no_number_of_parts_is_an_error(text: str) -> None:
    with pytest.raises(UsageError, match="no number of parts"):
        parse_gpu_parts(text)


@pytest.mark.parametrize("text", ["", "0", "0:bad", "ecc", "0:ECC"])
def test_what_is_no_fault_is_an_error_that_names_those_that_are(text: str) -> None:
    with pytest.raises(UsageError, match="no fault of a GPU") as caught:
        parse_gpu_fault(text)
    assert "none, ecc, pages" in caught.value.hint


def test_an_order_survives_its_file() -> None:
    order = Order(
        number=7,
        load=Load(
            r1m=1.5,
            rq=2,
            gpus=(GpuLoad(index=0, process="x"), GpuLoad(index=1, part=0)),
            gpu_parts=((1, 2),),
            gpu_faults=((0, "ecc"),),
            gpu_tool="slow",
        ),
    )
    assert Order.from_json(order.to_json()) == order


def test_a_missing_server_is_answered_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="sshd") as caught:
        find_programs(str(tmp_path))
    assert "apt-get install openssh-server" in caught.value.hint
