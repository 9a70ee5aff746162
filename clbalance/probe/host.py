"""Facts about a node: boot, uptime, cpus, user, logins, temporary folder, Python, NUMA nodes of PCI devices."""

import re
from collections.abc import Mapping
from itertools import pairwise

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Cpus, JobFolder, NumaNode, TmpSpace, Unknown
from clbalance.probe.frame import Section, decimal, whole, words_of
from clbalance.probe.load import MOST_CPUS, parse_online

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_S = 100 * 365 * 86_400.0


def parse_boot_id(text: str) -> str | Unknown:
    """The kernel's id of this boot."""
    if not text:
        return Unknown(reason="no boot_id")
    return text if _UUID.fullmatch(text) else Unknown(reason="boot_id does not parse")


def parse_uptime(text: str) -> float | Unknown:
    """Seconds since boot: `2524.95 4961.85`, of which the second is idle time."""
    words = text.split()
    uptime = decimal(words[0], most=_MOST_S) if words else None
    return (
        uptime if uptime is not None else Unknown(reason="/proc/uptime does not parse" if text else "no /proc/uptime")
    )


# -- cpus and NUMA nodes: `/proc/stat`, `/proc/cpuinfo`, `/sys/devices/system/node/*/cpulist`

_MOST_NODES = 1_024


def parse_cpus(files: Mapping[str, str]) -> Cpus | Unknown:
    """The online cpus. Model and NUMA nodes are optional: empty if missing or malformed."""
    online = parse_online(files.get("stat", ""))
    if isinstance(online, Unknown):
        return online
    _, _, model = files.get("cpuinfo", "").partition(":")
    return Cpus(online=online, model=words_of(model), numa=parse_numa(files))


def parse_numa(files: Mapping[str, str]) -> tuple[NumaNode, ...]:
    """The NUMA nodes that have cpus, by id; none at all if one of them is malformed."""
    nodes: list[NumaNode] = []
    left = MOST_CPUS
    for name, cpulist in files.items():
        if not name.startswith("node"):
            continue
        node = whole(name.removeprefix("node"), most=_MOST_NODES)
        cpus = parse_cpulist(cpulist, most=left)
        if node is None or cpus is None:
            return ()
        left -= len(cpus)
        nodes.append(NumaNode(id=node, cpus=cpus))
    return tuple(sorted(nodes, key=lambda node: node.id))


def parse_cpulist(text: str, *, most: int = MOST_CPUS) -> tuple[int, ...] | None:
    """The cpu ids of a list such as `0-3,8`, at most `most`; None if it is malformed or longer."""
    cpus: list[int] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        first = whole(low, most=MOST_CPUS - 1)
        last = whole(high, most=MOST_CPUS - 1) if dash else first
        # Checked before the range is expanded: a few bytes can name many cpus.
        if first is None or last is None or last < first or len(cpus) + last - first >= most:
            return None
        cpus.extend(range(first, last + 1))
    return tuple(cpus) if all(a < b for a, b in pairwise(cpus)) else None


_MOST_UID = 2**32


def parse_uid(text: str) -> int | Unknown:
    """Our uid on this node."""
    words = text.split()
    uid = whole(words[2], most=_MOST_UID) if len(words) > 2 and words[0] == "Uid:" else None
    return (
        uid
        if uid is not None
        else Unknown(reason="/proc/self/status does not parse" if text else "no /proc/self/status")
    )


# -- `who`: one line for each terminal with a login, user name first


def parse_logins(section: Section) -> int | Unknown:
    """Number of different users that are logged in on a terminal."""
    match section.status:
        case "0":
            return len({line.split()[0] for line in section.text.split("\n") if line.strip()})
        case "absent":
            return Unknown(reason="no record of logins (utmp)")
        case None:
            return Unknown(reason="timed out")
        case status:
            return Unknown(reason=f"`who` failed with {status}")


# -- `df` of the temporary folder, after a line with the folder's path, and of the folder for jobs
#
#     jobs -FACTS PATH                  the folder for jobs: the letters of `test` that hold for it, `h`: a home of ours
#     PATH                              the temporary folder
#     HEADING, ROW, ROW                 the second row only if the folder for jobs exists

_MOST_KIB = 2**60
_USED_PCT = re.compile(r"[0-9]{1,4}%|-")
_FACTS = re.compile(r"jobs -([drxwh]{0,5}) (/.*)")
_GNU_WORDS = 5
"""Of a row of `df --output=size,used,avail,itotal,iavail`."""


@dataclass(frozen=True, slots=True)
class _Room:
    """Kibibytes: all, those that are not used, those for ordinary users; and inodes, with `-` if they are not told."""

    total: str
    unused: str
    free: str
    inodes: str = "-"
    free_inodes: str = "-"


def parse_tmp(section: Section) -> TmpSpace | Unknown:
    """The size, and the free space for ordinary users."""
    if section.status is None:
        return Unknown(reason="timed out")
    if section.status != "0":
        return Unknown(reason=f"`df` failed with {section.status}")
    facts, text = _split(section)
    folder, _, listing = text.partition("\n")
    rows = listing.split("\n")
    at = -2 if facts is not None and "d" in facts[1] else -1
    room = _room(rows[at]) if len(rows) >= -at else None
    if room is None or not folder.startswith("/"):
        return Unknown(reason="the output of `df` does not parse")
    total_kib, free_kib = whole(room.total, most=_MOST_KIB), _free_kib(room.free)
    if total_kib is None or free_kib is None or free_kib > total_kib:
        return Unknown(reason="the output of `df` is out of range")
    return TmpSpace(path=words_of(folder, most=4_096), total_bytes=total_kib * 1024, free_bytes=free_kib * 1024)


def parse_job_folder(section: Section, uid: int | Unknown) -> JobFolder | Unknown:
    """The folder in which the agent would keep a job. The room there is unknown if `df` did not come so far."""
    facts, text = _split(section)
    if facts is None:
        return Unknown(reason="timed out" if section.status is None else "not told")
    is_measured = section.status == "0" and "d" in facts[1]
    room = _room(text.rpartition("\n")[2]) if is_measured else None
    free_kib = None if room is None else _free_kib(room.unused if uid == 0 else room.free)
    has_inodes = room is not None and room.inodes not in ("-", "0")
    return JobFolder(
        path=words_of(facts[2], most=_MOST_PATH),
        is_open={"d", "r", "x"} <= set(facts[1]),
        is_writable=bool({"w", "h"} & set(facts[1])),
        free_bytes=None if free_kib is None else free_kib * 1024,
        free_inodes=whole(room.free_inodes, most=_MOST_KIB) if room is not None and has_inodes else None,
    )


def _split(section: Section) -> tuple[re.Match[str] | None, str]:
    """The line about the folder for jobs, if there is one, and the rest."""
    first, _, rest = section.text.strip("\n").partition("\n")
    facts = _FACTS.fullmatch(first)
    return (None, section.text.strip("\n")) if facts is None else (facts, rest)


def _room(row: str) -> _Room | None:
    """From a row of GNU's df, or from `/dev/vda 264212084 22863544 83527368 22% /` of any: device and mount point may
    contain blanks.
    """
    words = row.split()
    if len(words) == _GNU_WORDS and not words[-1].startswith("/"):
        total, used, free, inodes, free_inodes = words
        return _Room(total, _less(total, used), free, inodes, free_inodes)
    for at in range(4, len(words) - 1):
        if _USED_PCT.fullmatch(words[at]) and words[at + 1].startswith("/"):
            total, used, free = words[at - 3 : at]
            return _Room(total, _less(total, used), free)
    return None


def _free_kib(text: str) -> int | None:
    """`df` prints a negative number if root's reserve is in use."""
    return 0 if re.fullmatch(r"-[0-9]+", text) else whole(text, most=_MOST_KIB)


def _less(total: str, used: str) -> str:
    one, other = whole(total, most=_MOST_KIB), whole(used, most=_MOST_KIB)
    return "-" if one is None or other is None else str(max(0, one - other))


# -- the first python3 on PATH that can be executed, which runs a job's agent. Before it come lines `odd PATH` of those
#    that cannot be; after it, what speaks against it.

_MOST_PATH = 4_096
_OLD = re.compile(r"old (3\.[0-5])")


def parse_python(text: str) -> str | Unknown:
    """The absolute path of the node's python3. Use it only as one quoted argument."""
    lines = text.strip("\n").split("\n")
    odd = [line.removeprefix("odd ") for line in lines if line.startswith("odd ")]
    path, *against = [line for line in lines if not line.startswith("odd ")] or [""]
    if not path:
        return Unknown(reason=words_of(f"{odd[0]} cannot be executed") if odd else "no python3 on PATH")
    if not path.startswith("/") or not path.isprintable() or len(path) > _MOST_PATH:
        return Unknown(reason="the path of python3 does not parse")
    if "empty" in against:
        return Unknown(reason=words_of(f"{path} is empty"))
    if old := next((found[1] for line in against if (found := _OLD.fullmatch(line))), None):
        return Unknown(reason=words_of(f"{path} is Python {old}, and jobs need 3.6"))
    return path


# -- the NUMA node of a PCI device: `/sys/bus/pci/drivers/*/<bus id>/numa_node`

_MOST = 1_024


def numa_node(bus_id: str, files: Mapping[str, str]) -> int | Unknown:
    """The NUMA node of the device with this bus id; tools write the PCI domain with four or eight digits."""
    domain, _, rest = bus_id.lower().partition(":")
    text = files.get(f"pci/{domain[-4:]}:{rest}", "")
    node = whole(text, most=_MOST)
    if node is not None:
        return node
    # -1: the firmware gives none, as on machines with one NUMA node.
    return Unknown(reason="the machine tells none" if text == "-1" else "not told")
