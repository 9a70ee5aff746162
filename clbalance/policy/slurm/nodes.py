"""Whether Slurm gives a node new jobs, by its state and flags (docs/design/slurm.md). Pure."""

from typing import Final

from clbalance.model.slurm import SlurmNode

_IN_SERVICE: Final = frozenset({"IDLE", "MIXED", "ALLOCATED"})
_OUT_OF_SERVICE: Final = frozenset(
    {"DRAIN", "FAIL", "NOT_RESPONDING", "MAINTENANCE", "MAINT", "PLANNED", "RESERVED", "INVALID_REG", "DYNAMIC_FUTURE"}
)
_FAMILIES: Final = ("REBOOT", "POWER")
"""Flags that begin so, such as `REBOOT_ISSUED` and `POWERED_DOWN`: the node is about to go, off, or about to come."""


def why_no_jobs(node: SlurmNode | None) -> str:
    """The state and the flags for which Slurm gives the node no new jobs, with Slurm's reason; empty if it gives some.

    A state that is not known here, such as one of a newer Slurm, counts as a reason. None: Slurm says nothing of it.
    """
    if node is None:
        return ""
    flags = sorted(flag for flag in node.flags if flag in _OUT_OF_SERVICE or flag.startswith(_FAMILIES))
    if node.state in _IN_SERVICE and not flags:
        return ""
    words = "+".join([node.state, *flags])
    return f"{words}: {node.reason}" if node.reason else words


def is_drained(node: SlurmNode) -> bool:
    """Whether it was drained, and not only found to be out of service."""
    return "DRAIN" in node.flags


def has_jobs(node: SlurmNode) -> bool:
    """Whether jobs of Slurm run there."""
    return node.state in {"MIXED", "ALLOCATED"} or "COMPLETING" in node.flags
