"""The results of the last jobs as a group file of ClusterShell's: `clb.yaml` in the state folder.

JSON is YAML. The file is replaced whole, so no reader meets half of it; written by many processes, one at a time.
"""

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from clbalance.errors import StoreError

FILE = "clb.yaml"
SOURCE = "clb"
JOBS = 100
"""So many jobs are kept: clush reads the whole file each time, 30 ms for these."""

_LOCK_WITHIN_S = 1.0
_LOCK_AGAIN_S = 0.01
_OF_A_JOB = re.compile(r"([a-z]+)-([0-9]{1,18})")


def read_groups(folder: Path) -> dict[str, str]:
    """What is kept; nothing where there is no such file, or one that we have not written."""
    try:
        told = json.loads((folder / FILE).read_text("ascii"))
        groups = told[SOURCE]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    is_ours = isinstance(groups, dict) and all(isinstance(nodes, str) for nodes in groups.values())
    return dict(groups) if is_ours else {}


def groups_text(groups: Mapping[str, str]) -> str:
    """The file's content."""
    return json.dumps({SOURCE: groups}, indent=1) + "\n"


def add_results(groups: Mapping[str, str], job: int, sets: Mapping[str, str]) -> dict[str, str]:
    """`groups` with those of one more job; unnumbered are the sets of the job with the highest number.

    Of a numbered set only a full one is written: to ClusterShell an absent group is an empty one.
    """
    jobs: dict[int, dict[str, str]] = {}
    for name, nodes in groups.items():
        if found := _OF_A_JOB.fullmatch(name):
            jobs.setdefault(int(found[2]), {})[found[1]] = nodes
    jobs[job] = {name: nodes for name, nodes in sets.items() if nodes}
    kept = sorted(jobs, reverse=True)[:JOBS]
    newest = {name: jobs[kept[0]].get(name, "") for name in sets}
    return newest | {f"{name}-{number}": nodes for number in kept for name, nodes in jobs[number].items()}


def keep_results(folder: Path, job: int, sets: Mapping[str, str]) -> None:
    """Write one more job's sets down, or `StoreError`."""
    try:
        with _alone(folder):
            replace_file(folder / FILE, groups_text(add_results(read_groups(folder), job, sets)))
    except OSError as error:
        raise StoreError(f"the groups of job {job} are not kept: `{folder / FILE}`: {error.strerror}") from error


def replace_file(path: Path, text: str) -> None:
    """On the disk before it is seen: half a file would close every group to its reader."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, 0o644)
            file.write(text)
            file.flush()
            os.fsync(fd)
        fresh.replace(path)
    except BaseException:  # a signal that stops us is one too
        fresh.unlink(missing_ok=True)
        raise


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
                time.sleep(_LOCK_AGAIN_S)
        yield
    finally:
        os.close(fd)
