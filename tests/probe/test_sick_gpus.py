"""One sick device of four, in every form in which drivers say so: it is not free, and the other three are as before."""

import json
from collections.abc import Mapping

import pytest

from clbalance.model import Gpu, Unknown
from clbalance.policy.placement.gpus import GpuState, gpu_condition
from clbalance.probe.frame import Section
from clbalance.probe.gpu_devices import parse_devices

NAMES = tuple(f"GPU-{number}{number}-aa" for number in range(4))
MODEL = "NVIDIA A100, 40GB"
SICK = 1
ROW = f"{NAMES[SICK]}, {SICK}, {MODEL}"
NO_FILES: Mapping[str, str] = {}
NO_PARTS = Section(text="", status="absent")


def row(number: int) -> str:
    return f"{NAMES[number]}, {number}, {MODEL}, 40960, 3, 0, 31, 550.54.15"


def log(number: int, more: str = "") -> str:
    return f"""\
GPU 00000000:{number:02d}:00.0
    MIG Mode
        Current                           : Disabled
    GPU UUID                              : {NAMES[number]}
    GPU Reset Status
        Reset Required                    : No
    ECC Errors
        Volatile
            SRAM Uncorrectable Parity     : 0
            SRAM Uncorrectable SEC-DED    : 0
            DRAM Uncorrectable            : 0
        Aggregate
            DRAM Uncorrectable            : 5
            SRAM Threshold Exceeded       : No
        Unrepairable Memory               : No
    Remapped Rows
        Pending                           : No
        Remapping Failure Occurred        : No
    Temperature
        GPU Current Temp                  : 31 C
        GPU Slowdown Temp                 : 92 C
{more}"""


def devices(
    rows: str | None = None,
    *,
    status: str = "0",
    log_text: str | None = None,
    processes: str = "",
    faults: str = "",
    parts: Section = NO_PARTS,
) -> tuple[Gpu, ...]:
    found = parse_devices(
        {
            "gpus": Section(text="\n".join(map(row, range(4))) if rows is None else rows, status=status),
            "gpu_processes": Section(text=processes, status="0"),
            "gpu_log": Section(text="".join(map(log, range(4))) if log_text is None else log_text, status="0"),
            "gpu_faults": Section(text=faults, status="0"),
            "gpu_parts": parts,
        },
        NO_FILES,
    )
    assert isinstance(found.gpus, tuple)
    return found.gpus


WHOLE = devices()
OTHERS = [gpu for gpu in WHOLE if gpu.uuid != NAMES[SICK]]
REBOOT = "GPU is lost.  Reboot the system to recover this GPU"


def state(gpu: Gpu) -> GpuState:
    return gpu_condition(gpu, 0.0, {}).state


def check_one_is_sick(gpus: tuple[Gpu, ...]) -> Gpu:
    """The sick one: it has a reason. The others are as they were."""
    well = {gpu.uuid: gpu for gpu in gpus if gpu.uuid != NAMES[SICK]}
    assert [well.pop(gpu.uuid) for gpu in OTHERS] == OTHERS
    (sick,) = (*well.values(), *(gpu for gpu in gpus if gpu.uuid == NAMES[SICK]))
    assert state(sick) in {GpuState.FAULTY, GpuState.UNKNOWN}
    assert gpu_condition(sick, 0.0, {}).reason
    assert sick.index == SICK
    return sick


def test_four_healthy_devices_are_free() -> None:
    assert [state(gpu) for gpu in WHOLE] == [GpuState.FREE] * 4


WORDS = (
    *("[N/A]", "[Not Supported]", "[Insufficient Permissions]", "[Not Found]", "[Unknown Error]", "Unknown Error"),
    *("[GPU requires reset]", "[GPU is lost]", "GPU is lost", "ERR!", "N/A", "-1", "18446744073709551615", "NaN", ""),
)


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize(
    "figures",
    [
        "{0}, {0}, {0}, {0}, 550.54.15",
        "{0}, {0}, 0, 31, 550.54.15",
        "40960, {0}, 0, 31, 550.54.15",
        "40960, 0, {0}, 31, 550.54.15",
        "{0}, {0}, {0}, {0}, {0}",
    ],
)
def test_a_word_in_place_of_a_figure_costs_one_device(word: str, figures: str) -> None:
    sick = check_one_is_sick(devices("\n".join([row(0), f"{ROW}, {figures.format(word)}", row(2), row(3)])))
    assert (state(sick) is GpuState.FAULTY) == ("reset" in word or "lost" in word)


@pytest.mark.parametrize("status", ["0", "15", "255"])
@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("Unable to determine the device handle for GPU0000:01:00.0: Unknown Error", "Unknown Error"),
        ("Unable to determine the device handle for GPU 0000:01:00.0: Unknown Error", "Unknown Error"),
        ("Unable to determine the device handle for GPU1: 0000:01:00.0: Unknown Error", "Unknown Error"),
        ("Unable to determine the device handle for GPU1: Unknown Error", "Unknown Error"),
        (f"Unable to determine the device handle for gpu 0000:01:00.0: {REBOOT}", REBOOT),
        ("Unable to determine the device handle for GPU 0000:01:00.0: Not Found", "Not Found"),
        ("[Unknown Error]", "Unknown Error"),
        ("Unknown Error", "Unknown Error"),
        ("GPU is lost", "GPU is lost"),
        ("[GPU requires reset]", "GPU requires reset"),
        (f"[Unknown Error], 1, {MODEL}, [N/A], [N/A], [N/A], [N/A], 550", "it tells no UUID: [Unknown Error]"),
        (f"[Unknown Error], [Unknown Error], {MODEL}, 1, 1, 1, 1, 550", None),
        (f"{NAMES[SICK]}, 1, NVIDI", None),
        (f"{NAMES[SICK]}", None),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_line_in_place_of_a_row_costs_one_device(line: str, fault: str | None, status: str, place: int) -> None:
    rows = [row(0), row(2), row(3)]
    rows.insert(place, line)
    if line.startswith("[Unknown Error], ["):
        assert len(devices("\n".join(rows), status=status)) == 3  # neither a UUID nor a number: it cannot be told apart
        return
    sick = check_one_is_sick(devices("\n".join(rows), status=status))
    assert fault is None or sick.fault == fault


def test_the_xid_of_a_lost_device_is_its_fault() -> None:
    lost = "Unable to determine the device handle for GPU0000:01:00.0: Unknown Error"
    xid = "[ 9.0] NVRM: Xid (PCI:0000:01:00): 79, pid=1, name=x, GPU has fallen off the bus."
    gpus = devices("\n".join([lost, row(0), row(2), row(3)]), status="255", faults=xid)
    assert check_one_is_sick(gpus).fault == "Xid 79: GPU has fallen off the bus"


def test_a_row_that_is_missing_costs_nobody() -> None:
    assert devices("\n".join([row(0), row(2), row(3)])) == tuple(OTHERS)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "SRAM Threshold Exceeded       : No",
            "SRAM Threshold Exceeded : Yes",
            "more SRAM errors than a device may have",
        ),
        ("Unrepairable Memory               : No", "Unrepairable Memory : Yes", "unrepairable memory"),
        ("Remapping Failure Occurred        : No", "Remapping Failure Occurred : Yes", "row remapping failed"),
        ("SRAM Uncorrectable SEC-DED    : 0", "SRAM Uncorrectable SEC-DED : 1", "1 uncorrected ECC error"),
        ("Reset Required                    : No", "Reset Required : Yes", "a reset is required"),
        ("GPU Current Temp                  : 31 C", "GPU Current Temp : GPU requires reset", "GPU requires reset"),
        ("GPU Current Temp                  : 31 C", "GPU Current Temp : GPU is lost", "GPU is lost"),
        ("Current                           : Disabled", "Current : Enabled", "MIG mode is on, and no parts are told"),
    ],
)
def test_a_fault_in_the_log_costs_one_device(old: str, new: str, fault: str) -> None:
    assert old in log(SICK)
    text = log(0) + log(SICK).replace(old, new) + log(2) + log(3)
    assert check_one_is_sick(devices(log_text=text)).fault == fault


def test_mig_mode_without_parts_and_without_memory_costs_one_device() -> None:
    rows = "\n".join([row(0), f"{ROW}, [N/A], [N/A], [N/A], 31, 550.54.15", row(2), row(3)])
    text = log(0) + log(SICK).replace(": Disabled", ": Enabled") + log(2) + log(3)
    assert check_one_is_sick(devices(rows, log_text=text)).fault == "MIG mode is on, and no parts are told"


def test_parts_that_were_not_told_in_time_are_unknown_and_no_fault() -> None:
    text = log(0) + log(SICK).replace(": Disabled", ": Enabled") + log(2) + log(3)
    sick = check_one_is_sick(devices(log_text=text, parts=Section(text="", status=None)))
    assert (state(sick), sick.fault) == (GpuState.UNKNOWN, "")
    assert "`nvidia-smi -L` timed out" in gpu_condition(sick, 0.0, {}).reason


@pytest.mark.parametrize(
    "line",
    [
        f"{NAMES[SICK]}, [N/A], [Not Found], [N/A]",
        f"{NAMES[SICK]}, [Unknown Error], python3, 5",
        f"{NAMES[SICK]}, 4711, evil\nname, 1200",
        f"{NAMES[SICK]}, 4711",
    ],
)
def test_a_process_that_is_not_understood_costs_its_device(line: str) -> None:
    assert "processes unknown" in gpu_condition(check_one_is_sick(devices(processes=line)), 0.0, {}).reason


@pytest.mark.parametrize("line", ["[Unknown Error], 4711, python3, 5", "MIG-77-aa, 4711, python3, 5"])
def test_a_process_that_may_be_on_any_device_leaves_none_free(line: str) -> None:
    assert {state(gpu) for gpu in devices(processes=line)} == {GpuState.UNKNOWN}


@pytest.mark.parametrize("status", ["0", "6"])
def test_a_driver_that_has_no_devices_for_a_moment_leaves_none_free(status: str) -> None:
    sections = {
        "gpus": Section(text=row(0), status="0"),
        "gpu_processes": Section(text="No devices were found", status=status),
    }
    gpus = parse_devices(sections, NO_FILES).gpus
    assert not isinstance(gpus, Unknown)
    assert [gpu_condition(gpu, 0.0, {}).reason for gpu in gpus] == ["processes unknown: No devices were found"]


@pytest.mark.parametrize("status", ["0", "6"])
def test_a_tool_that_finds_no_device_is_told_of(status: str) -> None:
    none = Section(text="No devices were found", status=status)
    found = parse_devices({"gpus": none, "gpu_processes": none}, NO_FILES)
    assert (found.gpus, found.missing) == ((), ("`nvidia-smi` finds no device",))


CARD = {
    "Unique ID": "0x1a",
    "PCI Bus": "0000:05:00.0",
    "GPU use (%)": "0",
    "VRAM Total Memory (B)": "1000",
    "VRAM Total Used Memory (B)": "1",
}


@pytest.mark.parametrize("word", ["N/A", "None", "", "-1", "18446744073709551615", "Unknown"])
@pytest.mark.parametrize("key", ["VRAM Total Memory (B)", "VRAM Total Used Memory (B)", "GPU use (%)", "Unique ID"])
def test_an_amd_card_that_does_not_tell_costs_itself_only(key: str, word: str) -> None:
    cards = {"card0": CARD, "card1": {**CARD, "Unique ID": "0x2b", key: word}}
    for text in (json.dumps(cards), f"WARNING: low power\n{json.dumps(cards)}\nERROR: one or more commands failed"):
        found = parse_devices({"gpus": Section(text="", status="absent"), "rocm": Section(text=text, status="0")}, {})
        assert not isinstance(found.gpus, Unknown)
        well, sick = map(state, found.gpus)
        assert well is GpuState.FREE
        assert sick in {GpuState.FAULTY, GpuState.UNKNOWN}


@pytest.mark.parametrize("status", [None, "1", "2"])
@pytest.mark.parametrize("failed", ["nvidia", "amd"])
def test_a_tool_that_fails_does_not_take_the_other_vendor_along(failed: str, status: str | None) -> None:
    broken = Section(text="it has no driver", status=status)
    sections = {
        "gpus": broken if failed == "nvidia" else Section(text=row(0), status="0"),
        "gpu_processes": broken if failed == "nvidia" else Section(text="", status="0"),
        "rocm": broken if failed == "amd" else Section(text=json.dumps({"card0": CARD}), status="0"),
    }
    found = parse_devices(sections, NO_FILES)
    assert not isinstance(found.gpus, Unknown)
    assert [state(gpu) for gpu in found.gpus] == [GpuState.FREE]
    assert len(found.missing) == 1
