"""From the sections of a check-up to a `Checkup`. Pure; never raises, whatever a node sends."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from clbalance.model import TmpSpace, Unknown
from clbalance.model.checkup import Checkup, Entry, Folder, Logind, Mount, NodeFolders, Python, SshdLimits
from clbalance.probe.frame import Section, whole, words_of
from clbalance.probe.host import parse_python, parse_tmp

# -- the node's clock: one command in an open session, its answer as an offset

CLOCK_QUESTION: Final = """\
echo "@NONCE@ begin"
echo "@NONCE@ + clock"
date +%s
echo "@NONCE@ - clock 0"
echo "@NONCE@ end"
"""
"""Sent like a script: `probe_request` fills in the nonce."""

_MOST_SECONDS = 2**40


def parse_clock(section: Section | None, *, asked_at: datetime, heard_at: datetime) -> float | Unknown:
    """By how many seconds the node's clock is at least ahead of ours; negative if behind, 0.0 if it may be right.

    The clock may be right if its time lies between question and answer. The node sends whole seconds, rounded down.
    """
    seconds = None if section is None else whole(section.text.strip("\n"), most=_MOST_SECONDS)
    if seconds is None:
        return Unknown(reason="`date` did not tell the time")
    ahead = seconds - heard_at.timestamp()
    behind = seconds + 1 - asked_at.timestamp()
    return ahead if ahead > 0 else min(behind, 0.0)


# -- `MaxSessions` and `MaxStartups`, from `sshd -T`, else from the readable parts of sshd_config

_MOST_SESSIONS = 2**31
_LINE = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*[ \t=][ \t]*\"?([0-9]{1,10})(?::[0-9:]*)?\"?[ \t]*")


def parse_sshd_limits(effective: Section | None, configured: Section | None) -> SshdLimits:
    """sshd's limits; as in sshd, the first value of a keyword counts."""
    found: dict[str, int] = {}
    for section in (effective, configured):
        for line in () if section is None else section.text.split("\n"):
            match = _LINE.fullmatch(line) if len(line) <= 200 else None
            number = None if match is None else whole(match[2], most=_MOST_SESSIONS)
            if match is not None and number is not None:
                found.setdefault(match[1].casefold(), number)
    return SshdLimits(max_sessions=found.get("maxsessions"), max_startups=found.get("maxstartups"))


# -- a candidate for the node folder, as printed by `checkup.sh`:
#
#     folder PATH, link, writable         the last two only if true
#     entry MODE UID PATH                 target of the path; mode in hexadecimal
#     home MODE UID PATH                  each existing name that our own folder may have
#     real PATH                           path without symbolic links
#     mount …                             relevant lines of mountinfo
#     inodes                              followed by the output of `df -iP`
#     space                               followed by the output of `df -kP`
#
# Paths from the node end up in commands that people may type, so only plain paths are accepted.

_MOST_UID = 2**32
_MOST_PATH = 4_096
_MOST_HOMES = 10
_ENTRY = re.compile(r"([0-9a-f]{1,8}) ([0-9]{1,10}) (/.*)")
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._/+@=,-]*")
_NONE = "3"


def parse_folder(section: Section | None) -> Folder | Unknown | None:
    """The folder; None if it was not examined or does not exist."""
    if section is None or section.status == _NONE:
        return None
    head, spoke, listing = section.text.partition("\nspace\n")
    head, _, inodes = head.partition("\ninodes\n")
    lines = head.split("\n")
    path = _only(lines, "folder ")
    entry = _entry(_only(lines, "entry "))
    if path is None or entry is None:
        return Unknown(reason="timed out" if section.status is None else _failed(section.status))
    if not _PLAIN_PATH.fullmatch(path):
        return Unknown(reason="its path has odd characters in it")
    real = _only(lines, "real ") or path
    homes = (_entry(line.removeprefix("home ")) for line in lines if line.startswith("home "))
    # After a timeout any part after the last printed one may be the one that hung.
    space = Section(text=f"{path}\n{listing}", status=section.status) if spoke else Section(text="", status=None)
    return Folder(
        path=path,
        real=real,
        entry=entry,
        is_link="link" in lines,
        writable="writable" in lines,
        homes=tuple(home for home in homes if home is not None)[:_MOST_HOMES],
        mount=_mount(real, lines),
        space=parse_tmp(space),
        free_inodes=_free_inodes(f"{path}\n{inodes}"),
    )


def _free_inodes(text: str) -> int | None:
    """From `df -iP`, whose columns are those of `df -kP`. File systems without a fixed number show 0 of 0."""
    found = parse_tmp(Section(text=text, status="0"))
    return found.free_bytes // 1024 if isinstance(found, TmpSpace) and found.total_bytes else None


def _failed(status: str) -> str:
    match status:
        case "4":
            return "its name is not an absolute path"
        case "127":
            return "no `stat` on the node"
        case _:
            return f"looking at it failed with {status}"


def _only(lines: list[str], prefix: str) -> str | None:
    """The rest of the first line that begins with `prefix`, if it is printable and not too long."""
    for line in lines:
        if line.startswith(prefix):
            return words_of(line.removeprefix(prefix), most=_MOST_PATH) or None
    return None


def _entry(text: str | None) -> Entry | None:
    match = _ENTRY.fullmatch(text or "")
    if match is None:
        return None
    uid = whole(match[2], most=_MOST_UID)
    return None if uid is None else Entry(path=words_of(match[3], most=_MOST_PATH), uid=uid, mode=int(match[1], 16))


def _mount(real: str, lines: list[str]) -> Mount | Unknown:
    found = mount_of(real, [line.removeprefix("mount ") for line in lines if line.startswith("mount ")])
    return found or Unknown(reason="no mount of it in /proc/self/mountinfo")


def parse_checkup(sections: Mapping[str, Section]) -> Checkup:
    """Each part from its own sections; unknown if they are missing, cut off or malformed."""
    return Checkup(
        uid=_uid(sections.get("uid")),
        folders=NodeFolders(
            named=parse_folder(sections.get("named")),
            made=parse_folder(sections.get("made")),
            usual=parse_folder(sections.get("usual")),
        ),
        python=parse_python_version(sections.get("python")),
        logind=parse_logind(sections.get("logind"), sections.get("logind_conf")),
        sshd=parse_sshd_limits(sections.get("sshd_told"), sections.get("sshd_conf")),
        input_is_whole="input" not in sections or sections["input"].text == "whole",
        missing_home=_missing_home(sections.get("home")),
    )


def _missing_home(section: Section | None) -> str | Unknown:
    if section is None or section.status is None:
        return Unknown(reason="not told" if section is None else "timed out")
    return words_of(section.text, most=_MOST_PATH)


def _uid(section: Section | None) -> int | Unknown:
    uid = None if section is None else whole(section.text.strip("\n"), most=_MOST_UID)
    return Unknown(reason="`id` did not tell the uid") if uid is None else uid


# -- `command -v python3`, and the version that it prints

_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})")


def parse_python_version(section: Section | None) -> Python | Unknown | None:
    """Path and version; None if there is no python3."""
    if section is None or section.status is None:
        return Unknown(reason="not told" if section is None else "timed out")
    if section.status == _NONE:
        return None
    first, _, rest = section.text.partition("\n")
    path = parse_python(first)
    if isinstance(path, Unknown):
        return path
    version = _VERSION.fullmatch(rest.strip("\n"))
    if version is None or section.status != "0":
        return Python(path=path, version=Unknown(reason=words_of(rest) or f"it failed with {section.status}"))
    return Python(path=path, version=(int(version[1]), int(version[2]), int(version[3])))


# -- `KillUserProcesses`, over D-Bus (`b false`) or from logind.conf, and whether the user lingers

# systemd's words for true (systemd.syntax(7)).
_YES = frozenset({"1", "yes", "y", "true", "t", "on"})
_NO = frozenset({"0", "no", "n", "false", "f", "off"})


def parse_logind(section: Section | None, configured: Section | None) -> Logind | Unknown | None:
    """What logind does at logout; None if there is no logind."""
    if section is None:
        return Unknown(reason="not told")
    if section.status == _NONE:
        return None
    lines = section.text.split("\n")
    kills = _reported(lines)
    if kills is None and configured is not None:
        kills = _configured(configured.text)
    unknown = Unknown(reason="neither logind nor logind.conf gives the setting")
    return Logind(kills_user_processes=unknown if kills is None else kills, lingers="linger" in lines)


def _reported(lines: list[str]) -> bool | None:
    for line in lines:
        match line.split():
            case ["b", "true"]:
                return True
            case ["b", "false"]:
                return False
            case _:
                pass
    return None


def _configured(text: str) -> bool | None:
    """The last value counts."""
    kills: bool | None = None
    for line in text.split("\n"):
        key, _, value = line.partition("=")
        word = value.strip().casefold()
        if key.strip() == "KillUserProcesses" and word in _YES | _NO:
            kills = word in _YES
    return kills


# -- `/proc/self/mountinfo` (proc(5)): the mount of a path
#
#     36 35 98:0 /root/within /mnt/point rw,noatime master:1 - ext4 /dev/vda rw
#
# The fourth field is the mount's root within its file system, the fifth is the mount point.

_POINT = 4
_MOST_FIELD = 4_096
_TYPE = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OCTAL = re.compile(r"\\([0-7]{3})")


def mount_of(path: str, lines: list[str]) -> Mount | None:
    """The mount of the absolute, resolved `path`; of two mounts at one point the later one hides the earlier."""
    found: Mount | None = None
    for line in lines:
        mount = parse_mount(line)
        if mount is None or not _is_under(path, mount.point):
            continue
        if found is None or len(mount.point) >= len(found.point):
            found = mount
    return found


def parse_mount(line: str) -> Mount | None:
    """One line of mountinfo; None if it is malformed."""
    before, separator, after = line.partition(" - ")
    fields, type_name = before.split(" "), after.partition(" ")[0]
    if not separator or len(fields) <= _POINT or not _TYPE.fullmatch(type_name):
        return None
    root, point = (_unescaped(field[:_MOST_FIELD]) for field in fields[_POINT - 1 : _POINT + 1])
    return Mount(root=root, point=point, type=type_name)


def _is_under(path: str, point: str) -> bool:
    return point in {"/", path} or path.startswith(point + "/")


def _unescaped(field: str) -> str:
    # Space, tab, newline and backslash are written as three octal digits.
    return _OCTAL.sub(lambda octal: chr(int(octal[1], 8)), field)
