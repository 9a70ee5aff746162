"""Names that earlier commands have met: nodes and jobs in the state database; groups, labels and taints in a file.

Only names of our own jobs and of the cluster's configuration; never those of other users. What cannot be read is empty.
"""

import json
import os
import stat
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from clbalance.cli.complete.names import is_plain, names_in
from clbalance.wiring.small_file import read_small

DATABASE = "state.db"  # as in store/state.py, which imports much more; a test compares
RESULTS, RESULT_FILE = "clb", "clb.yaml"  # as in store/result_groups.py, likewise
_NEWEST_JOBS = 1000
_NEWEST_RUNS = 200
_MOST_NODES = 10_000
_WITHIN_S = 0.2


class KnownJob(NamedTuple):
    """One of our jobs on this host."""

    number: int
    name: str
    state: str


class KnownRun(NamedTuple):
    """A run of a playbook on this host."""

    number: int
    playbook: str
    state: str


_RUNS_FOR = {
    "--continue": """
        WHERE EXISTS (SELECT 1 FROM play_node WHERE run = play.id AND state != 'ok')
        AND id NOT IN (SELECT rolls_back FROM play WHERE rolls_back IS NOT NULL)
    """,
    "--rollback": """
        WHERE rolls_back IS NULL AND EXISTS (
            SELECT 1 FROM play_node
            WHERE run = play.id AND state NOT IN ('notstarted', 'left_out') AND rolled_back = 0
        )
    """,
}
"""Of which runs an option makes sense; of all, if it is not here."""


class KnownNames:
    """Each kind of names is read when it is asked for."""

    def __init__(self, folder: Path | None) -> None:
        """`folder` None: there is no state folder."""
        self._folder = folder

    def nodes(self, begin: str) -> list[str]:
        """Nodes that were asked for their load, whose names begin so."""
        # A range, not LIKE: it uses the primary key.
        query = """
            SELECT node FROM reading WHERE node >= :begin AND node < :end UNION
            SELECT node FROM strain WHERE node >= :begin AND node < :end LIMIT :most
        """
        found = self._rows(query, {"begin": begin, "end": begin + "\x7f", "most": _MOST_NODES})
        return [str(node) for (node,) in found if is_plain(node)]

    def jobs(self) -> list[KnownJob]:
        """The newest jobs, newest first; a name that a job must not have is empty."""
        query = "SELECT id, name, state FROM job WHERE state IS NOT NULL ORDER BY id DESC LIMIT :most"
        return [
            KnownJob(number=int(number), name=str(name) if is_plain(name) else "", state=str(state))
            for number, name, state in self._rows(query, {"most": _NEWEST_JOBS})
        ]

    def runs(self, option: str) -> list[KnownRun]:
        """The newest runs of playbooks that an option may name, newest first."""
        query = f"SELECT id, playbook, state FROM play {_RUNS_FOR.get(option, '')} ORDER BY id DESC LIMIT :most"  # noqa: S608 (only our own text)
        return [
            KnownRun(number=int(number), playbook=str(playbook) if is_plain(playbook) else "", state=str(state))
            for number, playbook, state in self._rows(query, {"most": _NEWEST_RUNS})
        ]

    def playbooks(self) -> list[str]:
        """Playbooks that are found by name, and files of this folder that are playbooks by their names."""
        from clbalance.cli.play.folders import playbook_folders, playbooks_in

        named = [path.stem for folder in playbook_folders() for path in playbooks_in(folder)]
        return [name for name in (*named, *(path.name for path in playbooks_in(Path()))) if is_plain(name)]

    def groups(self, source: str) -> list[str]:
        """The groups of a source; empty: of the default one."""
        if source == RESULTS and (results := self._result_groups()):
            return results
        sources = [source] if source else names_in(self._folder, "default")
        found = (name.partition(":") for name in names_in(self._folder, "group"))
        return [name for of, _, name in found if of in sources and is_plain(name)]

    def labels(self) -> list[tuple[str, str]]:
        """Every label with every value."""
        pairs = (label.partition("=") for label in names_in(self._folder, "label"))
        return [(name, value) for name, _, value in pairs if is_plain(name) and is_plain(value)]

    def taints(self) -> list[str]:
        """All taints."""
        return [name for name in names_in(self._folder, "taint") if is_plain(name)]

    def _result_groups(self) -> list[str]:
        """The nodes of the last jobs by result: `failed`, `ok-17`."""
        try:
            groups = json.loads(read_small(self._folder / RESULT_FILE))[RESULTS] if self._folder is not None else {}
            return [name for name in groups if is_plain(name)]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return []

    def _rows(self, query: str, values: dict[str, str | int]) -> list[tuple[Any, ...]]:
        if self._folder is None:
            return []
        import sqlite3  # verbs and options do without

        database = self._folder / DATABASE
        try:
            if not stat.S_ISREG(os.stat(database).st_mode):  # noqa: PTH116
                return []
            uri = f"{database.as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=_WITHIN_S)) as connection:
                return connection.execute(query, values).fetchall()
        except (OSError, sqlite3.Error, UnicodeDecodeError, ValueError):
            return []
