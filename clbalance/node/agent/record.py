"""How a job ended, as it is told and kept."""

import json
import os
import signal

from clbalance.node.agent.fields import ENDS, RECORD, checked
from clbalance.node.agent.folder import write_all
from clbalance.node.agent.limits import EXIT_BYTES, READ
from clbalance.node.agent.words import MisfitError

MYPY = False
if MYPY:
    from typing import Any


class Usage:
    """What the reaped processes of a job took, their own reaped children included."""

    def __init__(self) -> None:
        self.user_s = 0.0
        self.system_s = 0.0
        self.max_rss_bytes = 0

    def add(self, spent: "Any") -> None:
        self.user_s += spent.ru_utime
        self.system_s += spent.ru_stime
        self.max_rss_bytes = max(self.max_rss_bytes, spent.ru_maxrss * 1024)

    def told(self) -> "dict[str, float]":
        return {
            "user_s": round(self.user_s, 6),
            "system_s": round(self.system_s, 6),
            "max_rss_bytes": self.max_rss_bytes,
        }


def natural_end(status: int) -> "dict[str, Any]":
    if os.WIFSIGNALED(status):
        return {"kind": "killed", "signal": os.WTERMSIG(status)}
    return {"kind": "exited", "rc": os.WEXITSTATUS(status)}


def unwitnessed_end() -> "dict[str, Any]":
    """Of a job whose supervisor died without a word; the same by whomever it is written."""
    end = {"kind": "killed", "signal": int(signal.SIGKILL)}
    warnings = ["the job's supervisor died, which killed the job"]
    return {"end": end, "seconds": 0.0, "usage": None, "warnings": warnings}


def keep_exit(folder: int, record: "dict[str, Any]") -> None:
    """Put a job's end on disk, whole or not at all, into the room that was reserved at its start, if that is left."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open("exit.tmp", flags, 0o600, dir_fd=folder)
    try:
        write_all(fd, json.dumps(record).encode("ascii").ljust(EXIT_BYTES - 1) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename("exit.tmp", "exit", src_dir_fd=folder, dst_dir_fd=folder)


def read_exit(folder: int) -> "dict[str, Any] | None":
    """The end that is on disk; None where there is none, or none that anybody could have meant."""
    try:
        fd = os.open("exit", READ, dir_fd=folder)
    except OSError:
        return None
    try:
        return parse_record(os.read(fd, EXIT_BYTES))
    except OSError:
        return None
    finally:
        os.close(fd)


def parse_record(content: bytes) -> "dict[str, Any] | None":
    try:
        raw = json.loads(content.decode("ascii"))
        record = checked(raw if isinstance(raw, dict) else {}, RECORD, "exit")
        end = dict(record["end"])
        checked(end, ENDS[end.pop("kind")], "end")
    except (ValueError, LookupError, TypeError, RecursionError, MisfitError):
        return None
    return record if all(isinstance(warning, str) for warning in record["warnings"]) else None
