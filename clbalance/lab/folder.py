"""The lab's own folder: where it is by default, whose it is, and that nothing else is ever removed."""

import os
import re
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from clbalance.errors import LabError, UsageError

# The path is written into ssh's, sshd's and shell files, each with its own quoting and `%` rules.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9._/+@=,-]*")
RECORD = "lab.json"


def default_directory(environ: Mapping[str, str]) -> Path:
    """$CLBALANCE_LAB_DIR, else a folder of this user's below $XDG_RUNTIME_DIR or /tmp."""
    if named := environ.get("CLBALANCE_LAB_DIR"):
        return Path(named)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "clbalance-lab"
    return Path(f"/tmp/clbalance-lab-{os.getuid()}")  # noqa: S108 - made 0700, or its owner checked


def absolute(directory: Path) -> Path:
    """`directory` as every lab file can spell it."""
    path = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow the link that is refused
    if not _SAFE_PATH.fullmatch(str(path)):
        raise UsageError(
            f"{str(path)!r} cannot hold a lab", hint="a path of letters, digits and `. _ / + @ = , -`: `--dir`"
        )
    return path


def make(directory: Path, mode: int) -> None:
    """An empty folder of ours; one that exists and is empty will do."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        check_ours(directory)
        if (directory / RECORD).exists():
            raise LabError(
                f"a lab is already up in {directory}", hint="`clbalance lab down`, or another `--dir`"
            ) from None
        if any(directory.iterdir()):
            raise LabError(
                f"{directory} is not empty and not a lab", hint="name an empty or new folder: `--dir`"
            ) from None
    except OSError as error:
        raise LabError(f"cannot make {directory}: {error.strerror}", hint="name another: `--dir`") from error
    directory.chmod(mode)


def check_ours(directory: Path) -> None:
    """`LabError` unless it is a real folder which only this user can change."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise LabError(f"{directory} is not a folder", hint="name another: `--dir`")
    if found.st_uid != os.getuid():
        raise LabError(f"{directory} belongs to uid {found.st_uid}", hint="name another: `--dir`")
    if found.st_mode & 0o022:
        raise LabError(f"others may write to {directory}", hint=f"`chmod go-w {directory}`")


def is_lab(directory: Path) -> bool:
    """Whether a lab, whole or in ruins, is there; `LabError` if something else is."""
    if not os.path.lexists(directory):
        return False
    check_ours(directory)
    if (directory / RECORD).exists():
        return True
    if any(directory.iterdir()):
        raise LabError(f"{directory} is not a lab", hint="name the folder that `lab up` was given: `--dir`")
    return False


def remove(directory: Path) -> None:
    """Everything below, the record last, so that what is left of an interrupted removal is still a lab."""
    for entry in directory.iterdir():
        if entry.name != RECORD:
            _remove(entry)
    (directory / RECORD).unlink(missing_ok=True)
    directory.rmdir()


def empty(directory: Path) -> None:
    """Remove what is in `directory`, without following links."""
    for entry in directory.iterdir():
        _remove(entry)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry)
    else:
        entry.unlink()
