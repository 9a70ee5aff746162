"""Whatever a node sends: no parser raises, and no number is out of range."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from clbalance.model import Cpus, Gpu, Memory, Pressure, RunQueue, TmpSpace, Unknown
from clbalance.probe.frame import Section, parse_procfs
from clbalance.probe.gpu_devices import parse_devices
from clbalance.probe.gpu_nvidia import parse_gpus, parse_parts
from clbalance.probe.host import (
    parse_boot_id,
    parse_cpulist,
    parse_cpus,
    parse_logins,
    parse_python,
    parse_tmp,
    parse_uptime,
)
from clbalance.probe.lease_files import parse_marks
from clbalance.probe.leases import parse_allocation, parse_drains, parse_leases
from clbalance.probe.load import (
    parse_core_ticks,
    parse_cpu_ticks,
    parse_diskstats,
    parse_interfaces,
    parse_loadavg,
    parse_meminfo,
    parse_net_dev,
    parse_online,
    parse_pressure,
)
from clbalance.probe.reading import parse_reading

from .answers import DATA, UNHURRIED, framed, heard, sections

RECORDED = [path.read_text() for path in sorted(DATA.glob("*/*.txt"))]
NASTY = [
    "",
    "-1",
    "nan",
    "inf",
    "1e308",
    "9" * 30,
    "9" * 5000,
    "٣",
    "0x10",
    "1_000",
    " ",
    ",",
    ", ",
    ":",
    "\x00",
    "\x1b[2J",
    "[N/A]",
    "²",
]
UUID = re.compile(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}")
STATUSES = st.none() | st.sampled_from(["0", "1", "6", "14", "127", "absent", "3", "", "-"])
SECTIONS = st.builds(lambda text, status: Section(text=text, status=status), st.text(), STATUSES)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A recorded answer with some of its words replaced, dropped or doubled."""
    words = draw(st.sampled_from(RECORDED)).split(" ")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(words) - 1))
        words[at] = draw(st.sampled_from(NASTY) | st.just(words[at] * 2) | st.just(words[at] + "\n" + words[at]))
    return " ".join(words)


def numbers(value: object) -> Iterator[float]:
    match value:
        case bool() | str() | datetime() | None:
            pass
        case int() | float():
            yield value
        case tuple():
            for one in value:
                yield from numbers(one)
        case _ if is_dataclass(value):
            for field in fields(value):
                yield from numbers(getattr(value, field.name))
        case _:
            raise AssertionError(value)


def check(value: object) -> None:
    assert all(isfinite(number) and 0 <= number <= 2**70 for number in numbers(value))
    match value:
        case Unknown(reason=reason):
            assert reason
            assert reason.isprintable()
        case RunQueue():
            assert max(value.r1m, value.r5m, value.r15m, value.rq) <= 1_000_000
        case Memory():
            assert value.available_bytes <= value.total_bytes
            if not isinstance(value.swap_free_bytes, Unknown):
                assert not isinstance(value.swap_total_bytes, Unknown)
                assert value.swap_free_bytes <= value.swap_total_bytes
        case Pressure():
            pressures = (value.cpu_pct, value.mem_pct, value.io_pct)
            assert all(isinstance(pct, Unknown) or pct <= 100.0 for pct in pressures)
        case TmpSpace():
            assert value.free_bytes <= value.total_bytes
        case Cpus():
            assert value.online >= 1
            assert value.model.isprintable()
        case Gpu():
            used_pct = value.mem_used_pct
            assert isinstance(used_pct, Unknown) or 0.0 <= used_pct <= 100.0
            assert isinstance(value.use_pct, Unknown) or value.use_pct <= 100.0
            words = (value.model, value.driver_version, value.cuda_version, value.bus_id, value.fault, *value.unseen)
            assert all(text.isprintable() and len(text) <= 200 for text in words)
            assert UUID.fullmatch(value.uuid)
            assert not value.parent or UUID.fullmatch(value.parent)
        case _:
            pass


def check_reading(parts: dict[str, Section]) -> None:
    reading = parse_reading(parts)
    for field in fields(reading):
        check(getattr(reading, field.name))
    for gpu in () if isinstance(reading.gpus, Unknown) else reading.gpus:
        check(gpu)


@UNHURRIED
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "proc",
                "logins",
                "python",
                "tmp",
                "gpus",
                "gpu_processes",
                "gpu_log",
                "gpu_parts",
                "gpu_faults",
                "rocm",
                "marks",
            ]
        ),
        SECTIONS,
    )
)
def test_any_sections_make_a_reading(parts: dict[str, Section]) -> None:
    check_reading(parts)


@UNHURRIED
@given(mutated())
def test_a_damaged_answer_makes_a_reading(body: str) -> None:
    verdict = heard(framed(body.replace("\r", "")))
    assert verdict is not None
    check_reading(dict(sections(body.replace("\r", ""))))


@UNHURRIED
@given(st.text(alphabet="0123456789 .:-/,\nacpu%", max_size=200))
def test_any_text_makes_a_value_or_an_unknown(text: str) -> None:
    for parse in (
        parse_loadavg,
        parse_cpu_ticks,
        parse_online,
        parse_meminfo,
        parse_boot_id,
        parse_uptime,
        parse_python,
    ):
        check(parse(text))
    for parse_counters in (parse_diskstats, parse_net_dev):
        check(parse_counters(text))
    assert all(0 <= one.busy <= one.total for one in parse_core_ticks(text).values())
    files = parse_procfs(text)
    check(parse_net_dev(text, parse_interfaces(files)))
    check(parse_cpus({**files, "stat": "cpu0", "node0": text, "cpuinfo": text}))
    check(parse_pressure(dict.fromkeys(("pressure/cpu", "pressure/memory", "pressure/io"), text)))


@UNHURRIED
@given(SECTIONS, SECTIONS)
def test_any_section_makes_a_value_or_an_unknown(one: Section, two: Section) -> None:
    for parse in (parse_logins, parse_tmp):
        check(parse(one))
    marks = parse_marks(one, 1000)
    check(parse_leases(marks))
    check(parse_drains(marks))
    check(parse_gpus(one, two))


CLAIMS = st.dictionaries(
    st.sampled_from(
        ["v", "cpus", "mem_bytes", "gpus", "slots", "exclusive", "uptime_s", "name", "by", "reason", "at", "asked_at"]
    ),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text(), max_size=3) | st.just(1),
)


@UNHURRIED
@given(CLAIMS, st.text(max_size=3))
def test_any_claim_is_a_promise_within_bounds_or_the_whole_node(claim: dict[str, object], tail: str) -> None:
    allocation = parse_allocation(json.dumps(claim) + tail)
    check(allocation)
    assert isinstance(allocation, Unknown) or allocation.name.isprintable()


@UNHURRIED
@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 70_000)), max_size=5))
def test_a_cpu_list_names_each_cpu_once_and_not_too_many(ranges: list[tuple[int, int]]) -> None:
    cpus = parse_cpulist(",".join(f"{low}-{high}" for low, high in ranges))
    if cpus is not None:
        assert list(cpus) == sorted(set(cpus))
        assert len(cpus) <= 65_536


def test_a_few_bytes_cannot_ask_for_much_work() -> None:
    hostile = ",".join(["0-65535"] * 10_000)
    files = {"stat": "cpu0", **{f"node{at}": "0-65535" for at in range(1_000)}}
    assert parse_cpulist(hostile) is None
    parsed = parse_cpus(files)
    assert isinstance(parsed, Cpus)
    assert parsed.numa == ()
    long = " 1" * 500_000
    for parse in (parse_loadavg, parse_cpu_ticks, parse_meminfo, parse_diskstats, parse_net_dev, parse_uptime):
        check(parse(long))
    flood = Section(text="/tmp\n" + long, status="0")
    check(parse_tmp(flood))
    check(parse_logins(flood))
    check(parse_leases(parse_marks(flood, 0)))


def test_more_gpus_than_fit_a_node_are_unknown() -> None:
    rows = [f"GPU-{at}, {at % 200}, H100, 81559, 0, 0, 41, 550.54.15" for at in range(257)]
    nothing = Section(text="", status="0")
    assert isinstance(parse_gpus(Section(text="\n".join(rows[:256]), status="0"), nothing), tuple)
    assert parse_gpus(Section(text="\n".join(rows), status="0"), nothing) == Unknown(reason="more than 256 GPUs")


def test_more_processes_than_fit_a_gpu_are_unknown() -> None:
    device = Section(text="GPU-1, 0, H100, 81559, 0, 0, 41, 550.54.15", status="0")
    rows = [f"GPU-1, {at + 1}, python3, 1" for at in range(10_001)]
    gpus = parse_gpus(device, Section(text="\n".join(rows), status="0"))
    assert isinstance(gpus, tuple)
    assert gpus[0].processes == Unknown(reason="more than 10000 GPU processes")


GPU_TEXT = st.text(alphabet='GPU-MIG 0123456789abc.:(),\n/=[]N{}"', max_size=300)
GPU_WORDS = st.lists(
    st.sampled_from(
        [
            "GPU 00000000:07:00.0",
            "    GPU UUID                              : GPU-1",
            "    MIG Device",
            "        Index                             : 0",
            "        GPU Instance ID                   : 1",
            "        FB Memory Usage",
            "            Total                         : 9 MiB",
            "            Used                          : 3 MiB",
            "            Used                          : 99999999999999 MiB",
            "    Processes",
            "        GPU instance ID                   : 1",
            "        Process ID                        : 4711",
            "        Process ID                        : 99999999999",
            "            Name                          : x\x1b[2J",
            "        Volatile",
            "            DRAM Uncorrectable            : 99999999999999999999",
            "        GPU Current Temp                  : 999 C",
            "        GPU Slowdown Temp                 : -5 C",
            "CUDA Version                              : 12.4.\x07",
            "    GPU Recovery Action                   : " + "\x1b" * 500,
            " " * 40 + "deep : 1",
            "NVRM: Xid (PCI:0000:07:00): 79, \x1b[2J",
            "  MIG 1g.5gb     Device  0: (UUID: MIG-1)",
            "GPU 0: x (UUID: GPU-1)",
        ]
    ),
    max_size=40,
).map("\n".join)
CARD = st.fixed_dictionaries(
    {},
    optional={
        "Unique ID": st.sampled_from(["0x1", "0x" + "f" * 16, "N/A", "0x" + "f" * 17, 5, None]),
        "VRAM Total Memory (B)": st.sampled_from(["100", "-1", 100, 1e308, "9" * 40, None, "nan"]),
        "VRAM Total Used Memory (B)": st.sampled_from(["1", "101", 0]),
        "GPU use (%)": st.sampled_from(["5", "500", "N/A", "-3", True]),
        "Card Series": st.text(max_size=5),
        "PCI Bus": st.text(max_size=5),
        "GUID": st.text(max_size=5),
    },
)
ROCM = st.dictionaries(st.sampled_from(["card0", "card1", "card٣", "system", "x"]), CARD | st.integers() | st.none())


@UNHURRIED
@given(GPU_TEXT | GPU_WORDS, GPU_TEXT | GPU_WORDS, GPU_TEXT | GPU_WORDS, STATUSES)
def test_any_log_costs_health_and_parts_only(log: str, parts: str, faults: str, status: str | None) -> None:
    texts = {
        "gpus": "GPU-1, 0, m, 100, 1, 0, 30, 550.1",
        "gpu_processes": "",
        "gpu_log": log,
        "gpu_parts": parts,
        "gpu_faults": faults,
    }
    parsed = {name: Section(text=text, status="0") for name, text in texts.items()}
    parsed["gpu_log"] = Section(text=log, status=status)
    gpus = parse_devices(parsed, {}).gpus
    assert isinstance(gpus, tuple)
    for gpu in gpus:
        check(gpu)
        check(gpu.processes)


@UNHURRIED
@given((ROCM | st.integers() | st.lists(st.integers())).map(json.dumps) | st.text(), STATUSES, GPU_TEXT)
def test_any_document_of_rocm_makes_devices_or_an_unknown(text: str, status: str | None, size: str) -> None:
    gpus = parse_devices(
        {"gpus": Section(text="", status="absent"), "rocm": Section(text=text, status=status)},
        {"/sys/class/kfd/kfd/proc/1/vram_2": size, "pci/0000:07:00.0": size},
    ).gpus
    check(gpus)
    for gpu in () if isinstance(gpus, Unknown) else gpus:
        check(gpu)


def test_more_parts_than_a_device_can_have_are_not_listened_to() -> None:
    listed = ["GPU 0: x (UUID: GPU-1)", *(f"  MIG 1g.5gb     Device  {n}: (UUID: MIG-{n})" for n in range(500))]
    assert len(parse_parts(Section(text="\n".join(listed), status="0"))["GPU-1"]) == 64
