"""The nodes of `top` in textual's DataTable: with_textual.py ROUNDS ROWS. Each round changes the figures of all rows."""

import random
import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable

COLUMNS = ("NODE", "STATE", "r1m", "r5m", "r1m/cpu", "CPUS", "UT", "MEM", "PSI", "IO", "LEASES", "REASON")
EVERY_S = 0.05


class Nodes(App[None]):
    def __init__(self, rounds: int, rows: int) -> None:
        super().__init__()
        self._left = rounds
        self._rows = rows

    def compose(self) -> ComposeResult:
        yield DataTable()

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(column, key=column)
        for number in range(self._rows):
            table.add_row(*cells(number), key=str(number))
        self.set_interval(EVERY_S, self._round)

    def _round(self) -> None:
        if self._left == 0:
            self.exit()
            return
        self._left -= 1
        table = self.query_one(DataTable)
        for number in range(self._rows):
            for column, text in zip(COLUMNS, cells(number), strict=True):
                table.update_cell(str(number), column, text)


def cells(number: int) -> tuple[str, ...]:
    load = random.uniform(0, 64)
    return (
        f"node{number}", "up", f"{load:.2f}", f"{load / 2:.2f}", f"{load / 32:.2f}", "32", "12%", "100G/125G", "1/0/12",
        "977K", "0", "",
    )  # fmt: skip


Nodes(int(sys.argv[1]), int(sys.argv[2])).run()
