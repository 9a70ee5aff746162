"""Orders to a supervisor: by pipe while its agent lives, by a FIFO in the job's folder from any later agent."""

import errno
import os
import stat

from clbalance.node.agent.fields import checked
from clbalance.node.agent.protocol import ORDER_BYTES, READ, WHY_CHARS, Lines, MisfitError
from clbalance.node.stdlib import dumps, loads, signal

MYPY = False
if MYPY:
    from typing import Any


ORDERS: "dict[str, dict[str, Any]]" = {
    "signal": {"do": (str, ""), "signal": (int, 0)},
    "more": {"do": (str, "")},
    "finish": {"do": (str, "")},
    "input_complete": {"do": (str, "")},
    "end": {"do": (str, ""), "grace_s": (float, 0.0), "why": (str, "")},
}


def order_text(do: str, **facts: object) -> bytes:
    facts["do"] = do
    return dumps(facts).encode("ascii") + b"\n"


def parse_order(line: "bytes | None") -> "dict[str, Any]":
    """An order; empty if the line is none, because the job itself can write to the FIFO."""
    try:
        raw = loads((line or b"").decode("ascii"))
        order = checked(raw, ORDERS[raw["do"]], "order")
    except (ValueError, LookupError, TypeError, RecursionError, MisfitError):
        return {}
    if not 0 <= order.get("signal", 0) < signal.NSIG:
        return {}
    return dict(order, why=order.get("why", "")[:WHY_CHARS])


def open_control(folder: int) -> Lines:
    """Make the FIFO for orders and open it; also for writing, so that reads never see its end."""
    os.mkfifo("control", 0o600, dir_fd=folder)
    return Lines(os.open("control", READ | os.O_RDWR, dir_fd=folder), ORDER_BYTES)


def send_order(folder: int, order: bytes) -> bool:
    """Send an order to a supervisor that another agent forked, by the FIFO. Whether that was possible.

    A newline goes first, because the job itself may have written half a line there.
    """
    try:
        fd = os.open("control", os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.ENOENT, errno.ELOOP, errno.EISDIR, errno.EACCES):
            return False
        raise
    try:
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            return False
        os.write(fd, b"\n" + order)
    except (BlockingIOError, BrokenPipeError):  # full, which only the job can cause, or closed
        return False
    finally:
        os.close(fd)
    return True
