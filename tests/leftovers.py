"""What a broken run of this checkout's tests has left running, found and ended by the next.

Each process that tests start has a mark in its environment, and each folder that labs lie in has it in a file: the
checkout, and which pytest began the run. Runs that are still alive are left alone, and so are those of other checkouts.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from clbalance.lab import processes
from clbalance.lab.processes import ProcessId

VARIABLE = "CLBALANCE_TEST_RUN"
_FILE = ".test-run"
_CHECKOUT = Path(__file__).resolve().parent.parent
_LABS = Path("/tmp")  # not below tmp_path, which other users cannot enter
_PREFIX = "clbalance-lab-"
_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the tests of one checkout, by the process that began it."""

    pytest: ProcessId
    checkout: str

    @classmethod
    def of_this_process(cls, checkout: Path = _CHECKOUT) -> "Run":
        pytest = processes.identify(os.getpid())
        assert pytest is not None
        return cls(pytest, str(checkout))

    @classmethod
    def parse(cls, mark: str) -> "Run | None":
        pid, _, rest = mark.partition(":")
        ticks, _, checkout = rest.partition(":")
        if not (pid.isdigit() and ticks.isdigit() and checkout):
            return None
        return cls(ProcessId(pid=int(pid), start_ticks=int(ticks)), checkout)

    @property
    def mark(self) -> str:
        return f"{self.pytest.pid}:{self.pytest.start_ticks}:{self.checkout}"

    def is_broken(self, checkout: Path = _CHECKOUT) -> bool:
        """Whether it was a run of this checkout, and is over."""
        return self.checkout == str(checkout) and processes.stat_of(self.pytest) is None


def mark_this_run() -> None:
    """Whatever is started from now on can be told from other runs'; a worker has its controller's mark."""
    if VARIABLE not in os.environ:
        os.environ[VARIABLE] = Run.of_this_process().mark


def marked() -> dict[str, str]:
    """For the environment of what does not inherit ours."""
    mark_this_run()
    return {VARIABLE: os.environ[VARIABLE]}


def mark_folder(folder: Path) -> None:
    """Labs in this folder, however deep, are this run's."""
    (folder / _FILE).write_text(os.environ[VARIABLE])


def lab_folder() -> Path:
    """A marked folder that every user can enter; who asks removes it."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_LABS))
    folder.chmod(0o711)
    mark_folder(folder)
    return folder


def end_leftovers(checkout: Path = _CHECKOUT) -> None:
    """Of broken runs of this checkout: their processes are ended, their labs' folders removed."""
    processes.end_all(lambda: _started_by(lambda run: run.is_broken(checkout)), within_s=_WITHIN_S)
    for folder in _LABS.glob(f"{_PREFIX}*"):
        run = _run_that_made(folder)
        if run is not None and run.is_broken(checkout):
            shutil.rmtree(folder, ignore_errors=True)


def end_own() -> None:
    """What this run has left running, when all its tests are over; a run within a run leaves that to the outer one."""
    own = Run.parse(os.environ[VARIABLE])
    if own is not None and own.pytest.pid == os.getpid():
        processes.end_all(lambda: _started_by(lambda run: run == own), within_s=_WITHIN_S)


def end_those_in(folder: Path) -> None:
    """Whatever works in this folder, or below it: who was called there and has stayed, in the background."""
    processes.end_all(lambda: _at_work_in(folder), within_s=_WITHIN_S)


def _at_work_in(folder: Path) -> Iterator[int]:
    for pid in processes.all_pids():
        with suppress(OSError):  # gone, or another user's
            if Path(os.readlink(f"/proc/{pid}/cwd")).is_relative_to(folder) and pid != os.getpid():
                yield pid


def _started_by(is_meant: Callable[[Run], bool]) -> set[int]:
    found = [pid for pid in processes.all_pids() if any(is_meant(run) for run in _runs_of(pid))]
    return {*found, *(below for pid in found for below in processes.descendants(pid))} - {os.getpid()}


def _runs_of(pid: int) -> Iterator[Run]:
    """By its own mark, or by that of the folder which its lab lies in."""
    try:
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        words = os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes()).split()
    except OSError:  # gone, or another user's
        return
    entries = dict(os.fsdecode(entry).partition("=")[::2] for entry in environ.split(b"\0"))
    places = [entries.get("CLBALANCE_LAB_NODE", "")]
    if words[:1] == ["sshd:"] and "-f" in words[:-1]:  # it writes its title over its environment
        places.append(words[words.index("-f") + 1])
    for run in (Run.parse(entries.get(VARIABLE, "")), *(_run_that_made(Path(place)) for place in places if place)):
        if run is not None:
            yield run


def _run_that_made(folder: Path) -> Run | None:
    for place in (folder, *folder.parents):
        try:
            return Run.parse((place / _FILE).read_text())
        except OSError:
            continue
    return None
