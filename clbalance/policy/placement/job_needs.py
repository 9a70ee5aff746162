"""Why a node can take no job, however idle it is: no python3, no use of its node folder, no boot id; or it just
refused one for such a reason. Pure.

The node's admission would refuse the same, in the order of `docs/design/probe.md`, "Unfit for jobs". What is unknown
here is left to it.
"""

from typing import Final

from clbalance.model import JobFolder, Measured, Unknown
from clbalance.policy.placement.capacity import InsufficientResource
from clbalance.units import counted

JOB_NEEDS: Final = frozenset({"python", "boot_id", "node_folder", "refused"})
"""The filters of this file."""
JOB_BYTES: Final = 128 << 10
"""A job's folder and its lease take less, without what the job prints."""
JOB_INODES: Final = 16
"""The same, in files and folders."""


def unfit_for_jobs(answer: Measured) -> InsufficientResource | None:
    """The first thing that jobs need and the node does not have; None: it has all that we know of."""
    reading = answer.reading
    if isinstance(reading.python, Unknown):
        return InsufficientResource(filter="python", reason="no python3", detail=reading.python.reason)
    if isinstance(reading.boot_id, Unknown):
        return InsufficientResource(filter="boot_id", reason="boot id unknown", detail=reading.boot_id.reason)
    if not isinstance(reading.job_folder, Unknown) and (found := _flaw(reading.job_folder)):
        return InsufficientResource(filter="node_folder", reason=found[0], detail=found[1])
    if answer.refused:
        return InsufficientResource(filter="refused", reason="refused every job", detail=answer.refused)
    return None


def _flaw(folder: JobFolder) -> tuple[str, str] | None:
    if not folder.is_open:
        return "no node folder", f"{folder.path} is missing, no folder, or not readable"
    if not folder.is_writable:
        return "node folder not writable", f"{folder.path} is read-only, or you may not write to it"
    if folder.free_bytes is not None and folder.free_bytes < JOB_BYTES:
        return "node folder full", f"only {folder.free_bytes >> 10} KiB free in {folder.path}"
    if folder.free_inodes is not None and folder.free_inodes < JOB_INODES:
        return "node folder full", f"only {counted(folder.free_inodes, 'inode')} free in {folder.path}"
    return None
