"""How much memory a tree of processes has taken, looked at again and again."""

import re
import time

from clbalance.node.agent.limits import WATCH_AGAIN_S, WATCH_S, WATCH_SHARE

MYPY = False
if MYPY:
    from typing import Any, Callable, Iterable


class MemoryWatch:
    """Holds a tree to its limit: of what cannot be taken back from it, `find` says from whom.

    That is anonymous and shared memory and what of it was swapped out, each page divided among those who share it. A
    mapped file is none: the kernel gives up its pages first.
    """

    def __init__(self, limit_bytes: int, find: "Callable[[], Iterable[int]]") -> None:
        self.limit_bytes = limit_bytes
        self.find = find
        self.due = time.monotonic() + WATCH_S
        self.was_over = False

    def look(self, now: float) -> "int | None":
        """The bytes that it has where they are too many, twice in a row: who is seen while he forks seems double."""
        if now < self.due:
            return None
        began = time.process_time()
        used = memory_taken(list(self.find()), self.limit_bytes)
        spent_s = time.process_time() - began
        is_over, was_over = used > self.limit_bytes, self.was_over
        self.was_over = is_over
        self.due = now + (WATCH_AGAIN_S if is_over and not was_over else max(WATCH_S, spent_s * WATCH_SHARE))
        return used if is_over and was_over else None

    def verdict(self, used_bytes: int) -> "dict[str, Any]":
        return {"kind": "out_of_memory", "limit_bytes": self.limit_bytes, "used_bytes": used_bytes}

    def end_of(self, natural: "dict[str, Any]") -> "dict[str, Any]":
        """How it ended by itself."""
        return natural


def memory_taken(pids: "list[int]", enough: int) -> int:
    """Exact where it is more than `enough`; else what it is at most, which is read without walking page tables."""
    most = sum(most_memory(pid) for pid in pids)
    return most if most <= enough else sum(exact_memory(pid) for pid in pids)


def most_memory(pid: int) -> int:
    """As if nobody shared anything with it; 0 of what has ended."""
    told = sizes_in(pid, "status")
    if "RssAnon" not in told:  # before Linux 4.5
        return told.get("VmRSS", 0) + told.get("VmSwap", 0)
    return told["RssAnon"] + told.get("RssShmem", 0) + told.get("VmSwap", 0)


def exact_memory(pid: int) -> int:
    """Each page divided among those who share it; without smaps_rollup (Linux 4.14), or another user's, the most."""
    told = sizes_in(pid, "smaps_rollup")
    if "Pss_Anon" in told:  # Linux 5.4
        return told["Pss_Anon"] + told.get("Pss_Shmem", 0) + told.get("SwapPss", 0)
    return told["Pss"] + told.get("SwapPss", 0) if "Pss" in told else most_memory(pid)


def sizes_in(pid: int, name: str) -> "dict[str, int]":
    try:
        with open("/proc/%d/%s" % (pid, name), "rb") as file:
            lines = re.findall(rb"^(\w+):\s*([0-9]+) kB$", file.read(), re.MULTILINE)
    except OSError:
        return {}
    return {key.decode("ascii"): int(kilobytes) << 10 for key, kilobytes in lines}
