"""Find the state folder of this host: private, and not on a network file system."""

import os
import pwd
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from shlex import quote
from typing import NamedTuple

from clbalance.errors import StoreError

_MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_ELSEWHERE = "set `CLBALANCE_STATE_DIR` to a folder of your own on a disk of this machine"


class StateDirectory(NamedTuple):  # no dataclass: completion reads this module, and `dataclasses` takes 15 ms
    """The folder, created and checked. `note`: why it is not at the requested place."""

    path: Path
    note: str | None = None


def this_machine(files: tuple[Path, ...] = _MACHINE_ID_FILES) -> str:
    """An id of this machine, unique among those that share a home: systemd's or D-Bus's, else the host name."""
    for file in files:
        try:
            found = file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        # A machine whose first boot is not over says `uninitialized` (machine-id(5)).
        if re.fullmatch("[0-9a-f]{32}", found):
            return found
    return re.sub("[^0-9A-Za-z-]", "-", os.uname().nodename) or "this-machine"


def state_directory(
    environment: Mapping[str, str],
    machine_id: str,
    *,
    mountinfo: Path = Path("/proc/self/mountinfo"),
    local: Path = Path("/var/tmp"),  # noqa: S108 (the folder in it is refused unless it is ours alone)
) -> StateDirectory:
    """Create and check the folder for `state.db`. On a network file system use a folder under `local` instead.

    `StoreError` if it cannot be created or is not private, or if `local` is on a network file system, too.
    """
    wished = _wished(environment, machine_id)
    network = _network_file_system(wished, mountinfo)
    if network is None:
        _make_private(wished)
        return StateDirectory(path=wished)
    refuge = local / f"clbalance-state-{os.geteuid()}"
    if (also := _network_file_system(refuge, mountinfo)) is not None:
        raise StoreError(
            f"the state cannot be kept on a network file system: `{wished}` is on {network}, `{local}` on {also}",
            hint=_ELSEWHERE,
        )
    _make_private(refuge)
    return StateDirectory(
        path=refuge,
        note=f"`{wished}` is on {network}, where locks cannot be relied on: the state is kept in `{refuge}`",
    )


def _wished(environment: Mapping[str, str], machine_id: str) -> Path:
    if chosen := environment.get("CLBALANCE_STATE_DIR"):
        if chosen.endswith("\r"):
            raise StoreError("`CLBALANCE_STATE_DIR` ends with a carriage return (CRLF)", hint=_ELSEWHERE)
        return Path(chosen).absolute()
    # The XDG specification says to ignore a relative path.
    state_home = environment.get("XDG_STATE_HOME", "")
    if not state_home.startswith("/"):
        state_home = f"{_home(environment)}/.local/state"
    return Path(state_home) / "clbalance" / machine_id


def _home(environment: Mapping[str, str]) -> str:
    # cron sets HOME; `env -i` and some service managers do not.
    try:
        return environment.get("HOME") or pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError as error:
        raise StoreError(f"neither `HOME` nor a home folder of uid {os.geteuid()} is known", hint=_ELSEWHERE) from error


def _network_file_system(path: Path, mountinfo: Path) -> str | None:
    # Resolving also walks through an automounter, which makes it mount.
    resolved = os.path.realpath(path)
    try:
        return network_file_system(resolved, mountinfo.read_text("utf-8", "surrogateescape"))
    except OSError:
        return None  # no /proc: nothing speaks against this folder


def _make_private(folder: Path) -> None:
    """Create `folder` with mode 0700. `StoreError` if another user could write to it or replace it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except FileExistsError:
        raise StoreError(f"the state folder `{folder}` is not a folder", hint=_ELSEWHERE) from None
    except OSError as error:
        raise StoreError(f"the state folder `{folder}` cannot be made: {error.strerror}", hint=_ELSEWHERE) from error
    if stat.S_ISLNK(found.st_mode):
        raise StoreError(
            f"the state folder `{folder}` is a link", hint="set `CLBALANCE_STATE_DIR` to the folder itself"
        )
    if found.st_uid != os.geteuid():
        raise StoreError(
            f"the state folder `{folder}` belongs to uid {found.st_uid}, and you are uid {os.geteuid()}",
            hint=_ELSEWHERE,
        )
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise StoreError(
            f"others may write to the state folder `{folder}`", hint=f"`chmod 700 {quote(str(folder))}` ends that"
        )


# Is a path on a network file system, where locks cannot be relied on?

NETWORK_FILE_SYSTEMS = frozenset(
    {
        *("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "smbfs", "9p", "afs", "coda"),
        *("glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "ocfs2", "gfs2"),
        *("fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.ceph-fuse", "fuse.beegfs", "fuse.juicefs"),
        *("fuse.mfs", "fuse.moosefs", "fuse.s3fs", "fuse.rclone", "fuse.gvfsd-fuse", "fuse.davfs2"),
    }
)


def network_file_system(path: str, mountinfo: str) -> str | None:
    """The type of the network file system that the absolute, resolved `path` is on; None if it is local.

    `mountinfo` is the text of `/proc/self/mountinfo` (proc(5)). The last mount at a point hides earlier ones.
    """
    longest, kind = "", None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = _unescaped(fields[4])
        if len(point) >= len(longest) and _is_under(path, point):
            longest, kind = point, types[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else None


def _is_under(path: str, point: str) -> bool:
    return point in {"/", path} or path.startswith(point + "/")


def _unescaped(field: str) -> str:
    # Space, tab, newline and backslash are written as three octal digits.
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), field)
