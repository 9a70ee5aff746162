"""The context of a cluster that a program has named."""

import logging

from clbalance.lazy_dataclass import dataclass
from clbalance.wiring.context import Context

LOG = logging.getLogger("clbalance")
"""Warnings, such as of a state database that cannot be opened. Without a handler of the program they go nowhere."""
LOG.addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramContext(Context):
    """As of one call; a program may use it for many, in many threads."""

    policy_given: str | None
    """The placement policy that the program has named; None: that of the settings."""

    def warn(self, text: str) -> None:
        LOG.warning("%s", text)
