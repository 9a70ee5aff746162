"""A state folder as a released program has left it: jobs in all states, with every kind of end, tasks and migrations."""

import shutil
import sqlite3
from pathlib import Path

_DATA = Path(__file__).parent / "data" / "state"


def make_earlier_state(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.copytree(_DATA, folder, ignore=shutil.ignore_patterns("state.sql"))
    database = sqlite3.connect(folder / "state.db")
    database.executescript((_DATA / "state.sql").read_text("ascii"))
    database.close()
    return folder
