"""Each file of /proc, damaged by itself: only what is read from that file is unknown, with a reason."""

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace

import pytest

from clbalance.model import Cpus, Memory, Pressure, Reading, Traffic, Unknown

from .conftest import PROC, Node

READ_FROM: Mapping[str, frozenset[str]] = {
    "loadavg": frozenset({"run_queue"}),
    "uptime": frozenset({"uptime_s"}),
    "stat": frozenset({"cpus", "cpu_ticks"}),
    "meminfo": frozenset({"memory"}),
    "pressure/cpu": frozenset({"pressure"}),
    "pressure/memory": frozenset({"pressure"}),
    "pressure/io": frozenset({"pressure"}),
    "net/dev": frozenset({"net"}),
    "diskstats": frozenset({"disk"}),
    "sys/kernel/random/boot_id": frozenset({"boot_id"}),
    "cpuinfo": frozenset({"cpus"}),
}
"""The parts of a reading that come from each file."""

NUMBER = re.compile(r"(?<![\w.])[0-9]+(\.[0-9]+)?(?![\w.])")
DAMAGES: Mapping[str, Callable[[str], str | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: "",
    "cut off": lambda text: text[: -len(text.splitlines()[-1]) // 2 - 1],
    "negative": lambda text: NUMBER.sub("-5", text),
    "just below 2^64": lambda text: NUMBER.sub("18446744073709346016", text),
    "not a number": lambda text: NUMBER.sub("NaN", text),
    "letters": lambda text: NUMBER.sub("lots", text),
    "other bytes": lambda _: "\x01\x02 \x7f\n",
}


def is_unknown(value: object) -> bool:
    """Whether it is unknown, or a part of it."""
    if isinstance(value, Unknown):
        return bool(value.reason)
    return is_dataclass(value) and any(is_unknown(getattr(value, field.name)) for field in fields(value))


def damaged(node: Node, name: str, damage: str) -> Reading:
    text = DAMAGES[damage](PROC[name])
    file = node.root / "proc" / name
    file.unlink() if text is None else file.write_text(text)
    reading = node.reading()
    file.write_text(PROC[name])
    return reading


def changed(one: Reading, two: Reading) -> dict[str, object]:
    """What differs, but for the logins: they are those of the machine that runs the tests."""
    names = [field.name for field in fields(Reading) if field.name != "logins"]
    return {name: getattr(two, name) for name in names if getattr(two, name) != getattr(one, name)}


@pytest.fixture
def still_node(node: Node) -> Node:
    """A node whose other figures do not change."""
    node.program("df", "echo 'Filesystem 1024-blocks Used Available Capacity Mounted on'; echo 'x 100 50 50 50% /'")
    return node


@pytest.mark.parametrize("name", READ_FROM)
def test_a_damaged_file_costs_what_is_read_from_it_and_nothing_else(still_node: Node, name: str) -> None:
    whole = still_node.reading()
    assert not [field for field in READ_FROM[name] if is_unknown(getattr(whole, field))]
    for damage in DAMAGES:
        lost = changed(whole, damaged(still_node, name, damage))
        assert lost.keys() <= READ_FROM[name], damage
        if name == "cpuinfo":  # has only the model's name, which is optional
            assert all(isinstance(cpus, Cpus) and cpus == replace(cpus, online=2) for cpus in lost.values()), damage
        else:
            assert all(map(is_unknown, lost.values())), damage
            assert lost or damage == "cut off", damage  # the rest may be all that is needed


def test_each_figure_of_a_file_stands_alone(dash_node: Node) -> None:
    whole = dash_node.reading()
    assert isinstance(whole.memory, Memory)
    assert isinstance(whole.pressure, Pressure)
    (dash_node.root / "proc/meminfo").write_text(
        PROC["meminfo"].replace("1000 kB\nHuge", "18446744073709346016 kB\nHuge")
    )
    (dash_node.root / "proc/pressure/memory").unlink()
    (dash_node.root / "proc/stat").write_text(PROC["stat"].replace("cpu  100", "cpu  -100"))
    (dash_node.root / "proc/diskstats").unlink()
    reading = dash_node.reading()
    assert reading.memory == replace(
        whole.memory, swap_free_bytes=Unknown(reason="SwapFree in /proc/meminfo makes no sense")
    )
    assert reading.pressure == replace(whole.pressure, mem_pct=Unknown(reason="no /proc/pressure/memory"))
    assert (reading.cpus, reading.cpu_ticks) == (whole.cpus, Unknown(reason="/proc/stat does not parse"))
    assert reading.disk == Unknown(reason="no /proc/diskstats")
    assert reading.net == Traffic(in_bytes=1000, out_bytes=500)


def test_one_damaged_disk_or_interface_is_not_left_out(still_node: Node) -> None:
    for name, part in (("diskstats", "disk"), ("net/dev", "net")):
        lines = PROC[name].splitlines(keepends=True)
        for figure in ("-5", "18446744073709346016", "NaN", "lots"):
            file = still_node.root / "proc" / name
            file.write_text(PROC[name] + re.sub(r"(?<= )(20|1000)(?= )", figure, lines[-1].replace("sda", "sdb")))
            assert getattr(still_node.reading(), part) == Unknown(reason=f"/proc/{name} does not parse"), figure
        (still_node.root / "proc" / name).write_text(PROC[name])
