"""Which programs of the site did not end in time, and where: a small file in the state folder. It is a cache."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from clbalance.engine.site_probe import HungProgram, Where
from clbalance.wiring.small_file import read_small, replace_small

FILE: Final = "hung-programs.json"
_MOST: Final = 10_000


class HungProgramsFile:
    """`HungPrograms` in a file. What other processes add is seen by calls that begin later."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Where, HungProgram] | None = None

    def known(self) -> Mapping[Where, HungProgram]:
        if self._known is None:
            self._known = _read(self._path)
        return self._known

    def change(self, changed: Mapping[Where, HungProgram | None]) -> None:
        known: dict[Where, HungProgram | None] = {**_read(self._path), **changed}
        newest = sorted(
            ((where, one) for where, one in known.items() if one is not None), key=lambda pair: -pair[1].at_s
        )
        self._known = dict(newest[:_MOST])
        rows = [[node, program, one.at_s, one.times] for (node, program), one in self._known.items()]
        replace_small(self._path, json.dumps(rows))


def _read(path: Path) -> dict[Where, HungProgram]:
    """What the file says; nothing, if it makes no sense."""
    try:
        rows = json.loads(read_small(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return dict(map(_row, filter(_is_row, rows))) if isinstance(rows, list) else {}


def _is_row(row: Any) -> bool:
    return isinstance(row, list) and [*map(type, row)] == [str, str, float, int] and row[3] > 0


def _row(row: Any) -> tuple[Where, HungProgram]:
    node, program, at_s, times = row
    return (node, program), HungProgram(at_s, times)
