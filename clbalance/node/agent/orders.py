"""What a supervisor is told: by pipe while its agent lives, by a FIFO in the job's folder from any later one."""

import errno
import json
import os
import signal
import stat

from clbalance.node.agent.fields import checked
from clbalance.node.agent.limits import ORDER_BYTES, READ, WHY_CHARS
from clbalance.node.agent.wire import Lines
from clbalance.node.agent.words import MisfitError

MYPY = False
if MYPY:
    from typing import Any

ORDERS: "dict[str, dict[str, Any]]" = {
    "signal": {"do": (str, ""), "signal": (int, 0)},
    "more": {"do": (str, "")},
    "finish": {"do": (str, "")},
    "end": {"do": (str, ""), "grace_s": (float, 0.0), "why": (str, "")},
}


def order_text(do: str, **facts: object) -> bytes:
    facts["do"] = do
    return json.dumps(facts).encode("ascii") + b"\n"


def parse_order(line: "bytes | None") -> "dict[str, Any]":
    """An order; nothing where it is none, for the job itself can write to the FIFO."""
    try:
        raw = json.loads((line or b"").decode("ascii"))
        order = checked(raw, ORDERS[raw["do"]], "order")
    except (ValueError, LookupError, TypeError, RecursionError, MisfitError):
        return {}
    if not 0 <= order.get("signal", 0) < signal.NSIG:
        return {}
    return dict(order, why=order.get("why", "")[:WHY_CHARS])


def open_door(folder: int) -> Lines:
    """The FIFO's reading end. Open for writing too, so that it never ends."""
    os.mkfifo("control", 0o600, dir_fd=folder)
    return Lines(os.open("control", READ | os.O_RDWR, dir_fd=folder), ORDER_BYTES)


def knock(folder: int, order: bytes) -> bool:
    """Hand an order to a supervisor that another agent forked; whether that was possible.

    It begins with a newline, behind whatever the job itself may have left half written there.
    """
    try:
        fd = os.open("control", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ELOOP, errno.EISDIR):
            return False
        raise
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return False
        os.write(fd, b"\n" + order)
    except (BlockingIOError, BrokenPipeError):  # full, as only the job can make it; or over
        return False
    finally:
        os.close(fd)
    return True
