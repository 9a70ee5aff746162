"""A store that remembers nothing beyond this process: for `load` and `pick` where the real one cannot be opened."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from clbalance.errors import StoreError
from clbalance.model import NodeName, Reading
from clbalance.ports import Remembered
from clbalance.store.counters import remembered, row_of


class ForgetfulStore:
    """Memory of one process. Its job numbers start at 1 each time: a host that gives them out repeats itself."""

    def __init__(self) -> None:
        self._readings: dict[NodeName, Remembered] = {}
        self._jobs: dict[str, int] = {}

    def last_readings(self, nodes: Sequence[NodeName]) -> Mapping[NodeName, Remembered]:
        return {node: self._readings[node] for node in nodes if node in self._readings}

    def remember(self, at: datetime, readings: Mapping[NodeName, Reading]) -> None:
        for node, reading in readings.items():
            # Through a row, so that no more is kept here than there.
            kept = remembered(row_of(at, reading))
            assert kept is not None, "a row of our own has a time"
            self._readings[node] = kept

    def new_job_id(self, key: str, name: str) -> int:
        if key in self._jobs:
            raise StoreError(f"job `{key}` has a number already")
        self._jobs[key] = len(self._jobs) + 1
        return self._jobs[key]
