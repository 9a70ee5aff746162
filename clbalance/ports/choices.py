"""The interface of the store for choices among policies."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from clbalance.model import NodeName


class Choices(Protocol):
    """What is kept of choices, and what a replay of the history needs beside the jobs. Errors: `StoreError`."""

    def choice(self, name: str) -> str | None:
        """What was kept last under that name; None: nothing."""
        ...

    def keep_choices(self, contents: Mapping[str, str]) -> None:
        """Replace what is kept under these names, all at once."""
        ...

    def mean_load(
        self, nodes: Sequence[NodeName], since: datetime, until: datetime
    ) -> Mapping[NodeName, tuple[float, int]]:
        """The mean `r1m` per cpu of each node over full hours in which it answered, and when the first of them began
        (seconds since 1970).
        """
        ...
