"""Xids in the kernel's log: in which forms they come, and which make a device unfit."""

import pytest

from clbalance.probe.frame import Section
from clbalance.probe.gpu_xids import parse_xids

BUS = "00000000:3B:00.0"


def fault(*lines: str, bus: str = BUS) -> str:
    return parse_xids(Section(text="\n".join(lines), status="0")).of(bus)


@pytest.mark.parametrize(
    "line",
    [
        "[  99.1] NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, name=python3, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00): 79, pid=1234, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00 GPU-I:05): 79, pid=7194, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:02): 79, pid=9, name=a, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (0000:3b:00): 79, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (3b:00): 79, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:0000:3b:00.0): 79, GPU has fallen off the bus.",
        "[  99.1] NVRM: Xid (PCI:00000000:3B:00): 79, GPU has fallen off the bus.",
        "Dec  6 17:49:03 host kernel: [ 8659.7] NVRM: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
        "<3>[  99.1] NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.",
    ],
)
def test_every_form_is_read(line: str) -> None:
    assert fault(line) == "Xid 79: GPU has fallen off the bus"
    assert fault(line, bus="0000:3c:00.0") == ""


def test_an_xid_without_words_has_ours() -> None:
    assert fault("NVRM: Xid (PCI:0000:3b:00): 79, ") == "Xid 79: fallen off the bus"
    assert fault("NVRM: Xid (PCI:0000:3b:00): 46") == "Xid 46: GPU stopped processing"


@pytest.mark.parametrize("number", [46, 48, 54, 62, 64, 74, 79, 95, 110, 119, 120, 136, 140, 143, 156, 158])
def test_what_needs_a_reset_makes_a_device_unfit(number: int) -> None:
    assert fault(f"NVRM: Xid (PCI:0000:3b:00): {number}, pid=1, name=x, so it is") == f"Xid {number}: so it is"


@pytest.mark.parametrize("number", [8, 13, 31, 32, 43, 44, 45, 61, 63, 68, 69, 92, 93, 94, 109, 121, 155, 157, 9999])
def test_what_a_program_did_or_what_was_corrected_does_not(number: int) -> None:
    assert fault(f"NVRM: Xid (PCI:0000:3b:00): {number}, pid=1, name=x, so it is") == ""


def test_an_nvlink_error_counts_if_it_is_fatal() -> None:
    assert fault("NVRM: Xid (PCI:0000:3b:00): 149, NETIR_LINK_EVT Nonfatal XC0 i0 Link 02") == ""
    assert fault("NVRM: Xid (PCI:0000:3b:00): 149, NETIR_LINK_EVT Fatal XC0 i0 Link 02").startswith("Xid 149: ")


def test_harmless_ones_after_a_grave_one_leave_it() -> None:
    grave = "NVRM: Xid (PCI:0000:3b:00): 48, pid=1, name=x, DBE"
    harmless = "NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=x, Graphics Exception"
    assert fault(grave, *[harmless] * 500) == "Xid 48: DBE"


@pytest.mark.parametrize(("status", "text"), [(None, ""), ("127", ""), ("0", "not told")])
def test_a_log_that_was_not_read_is_not_a_log_without_faults(status: str | None, text: str) -> None:
    assert parse_xids(Section(text=text, status=status)).reason.startswith("Xids: ")


def test_a_recovery_that_was_done_clears_what_came_before() -> None:
    grave = "NVRM: Xid (PCI:0000:3b:00): 119, pid=1, name=x, Timeout"
    asked = "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
    done = "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
    assert fault(grave, asked).startswith("Xid 154: ")
    assert fault(grave, asked, done) == ""
    assert fault(grave, asked, done, grave) == "Xid 119: Timeout"
