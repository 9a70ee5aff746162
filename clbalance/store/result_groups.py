"""The nodes of the last jobs and runs of playbooks, by result, as a group file for ClusterShell: `clb.yaml`.

JSON is YAML. The file is replaced as a whole, so a reader never sees half of it. A lock lets one process write at a
time.
"""

import contextlib
import fcntl
import json
import os
import random
import re
import stat
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from clbalance.errors import StoreError
from clbalance.user_files import FileFailedError, FileRefusedError, replace_file

FILE = "clb.yaml"
SOURCE = "clb"
JOBS = 100
"""The number of jobs kept, and of runs: clush reads the whole file each time, which takes 30 ms for these."""

_LOCK_WITHIN_S = 10.0
_LOCK_AGAIN_S = 0.01
"""At most, and by chance: of several waiting processes, none that looks at fixed times is always too late."""

_NUMBERED = re.compile(r"([a-z]+(?:-[a-z]+)*)-([0-9]{1,18})")


def read_groups(folder: Path) -> dict[str, str]:
    """The groups in the file; empty if there is none, or it is not ours."""
    try:
        parsed = json.loads(_content(folder / FILE))
        groups = parsed[SOURCE]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    is_ours = isinstance(groups, dict) and all(isinstance(nodes, str) for nodes in groups.values())
    return dict(groups) if is_ours else {}


def _content(path: Path) -> str:
    """Read a regular file only (`ValueError`): a FIFO would block, and a device may have no end."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="ascii") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(path)
        return file.read()


def groups_text(groups: Mapping[str, str]) -> str:
    """The content of the file."""
    return json.dumps({SOURCE: groups}, indent=1) + "\n"


def add_results(groups: Mapping[str, str], number: int | None, sets: Mapping[str, str]) -> dict[str, str]:
    """`groups` with the sets of one more job or run. The unnumbered groups are those of the highest number.

    `number` None: of a call that was refused before it had one; only the unnumbered groups become its own. Empty
    numbered sets are left out: for ClusterShell a missing group is an empty one. Groups of other names stay: those of
    jobs and those of runs (`play-ok`) have numbers of their own.
    """
    if number is None:
        return {**groups, **sets}
    others: dict[str, str] = {}
    numbered: dict[int, dict[str, str]] = {}
    for name, nodes in groups.items():
        found = _NUMBERED.fullmatch(name)
        if (found[1] if found else name) not in sets:
            others[name] = nodes
        elif found:
            numbered.setdefault(int(found[2]), {})[found[1]] = nodes
    numbered[number] = {name: nodes for name, nodes in sets.items() if nodes}
    kept = sorted(numbered, reverse=True)[:JOBS]
    newest = {name: numbered[kept[0]].get(name, "") for name in sets}
    return newest | {f"{name}-{at}": nodes for at in kept for name, nodes in numbered[at].items()} | others


def keep_results(folder: Path, number: int | None, sets: Mapping[str, str], *, what: str = "job") -> None:
    """Add the sets of one more job, or of another kind of work, to the file. `StoreError` if that fails."""
    try:
        with _alone(folder):
            before = read_groups(folder)
            if (now := add_results(before, number, sets)) != before:
                write_groups(folder, now)
    except (OSError, FileRefusedError, FileFailedError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.reason
        whose = "the call" if number is None else f"{what} {number}"
        raise StoreError(f"the groups of {whose} are not kept: `{folder / FILE}`: {reason}") from error


def write_groups(folder: Path, groups: Mapping[str, str]) -> None:
    """Replace the file, once the new one is on disk: with half a file ClusterShell could read no group at all."""
    replace_file(str(folder / FILE), groups_text(groups).encode(), mode=0o644)


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    fd = os.open(folder / f"{FILE}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _LOCK_WITHIN_S
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                time.sleep(random.uniform(0, _LOCK_AGAIN_S))
        yield
    finally:
        os.close(fd)
