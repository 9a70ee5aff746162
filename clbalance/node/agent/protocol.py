"""The protocol between client and agent: limits, errors, request lines, framed event lines, and the hello."""

import errno
import os
import stat
import sys

from clbalance.node.stdlib import dumps, signal, suppress

MYPY = False
if MYPY:
    from typing import Any

PROTOCOL = 2

LINE_BYTES = 4 << 20  # the longest request; a longer one is skipped and answered with an error
READ_BYTES = 64 << 10
CHUNK_BYTES = 48 << 10  # of output in one event: 64 KiB as base64
CONGESTED_BYTES = 256 << 10  # unsent events above which no output is read and no request accepted

POLL_SHORTEST_S = 0.02  # until a file that grew is read again
POLL_LONGEST_S = 0.25
LOG_TOLD_EVERY_S = 0.1  # between news of the log, while short tasks run

LEFTOVER_GRACE_S = 1.0  # from TERM to KILL for processes that outlive the job's first one
UNTIED_GRACE_S = 1.0  # the same for a tied job whose agent is gone, and at a supervisor's SIGTERM
HANG_UP_PATIENCE_S = 5.0  # for a program whose terminal is gone (SIGHUP)
LISTEN_LONGEST_S = 3600.0  # poll(2) takes no more than 24 days
KILL_AGAIN_S = 0.05
KILL_PATIENCE_S = 5.0  # processes that survive KILL so long (D state, another uid) are reported and left
KILL_AT_ADMISSION_S = 1.0  # the same for processes of a dead supervisor: the next job waits for it
CHECKPOINT_LOOK_S = 0.25  # between two looks at a job's checkpoint file
CHECKPOINT_STILL_S = 1.0  # unchanged for so long, it counts as written
PSS_WITHIN_S = 0.5  # for the exact memory of all processes of one job; the agent's other jobs wait
STOP_WITHIN_S = 1.0  # to stop processes that fork meanwhile

WATCH_S = 0.5  # between two looks at the memory of a limited job
WATCH_AGAIN_S = 0.05  # after a look above the limit: it must be above twice
WATCH_SHARE = 50  # looking takes at most a fiftieth of one cpu
FAR_BEYOND = 1.25  # of its limit: a job above that gets no time to end itself
SCOPE_WITHIN_S = 2.0  # for systemd-run; after that the job starts without a scope
MOST_CPU_IDS = 8192  # in one node (NR_CPUS of any distribution)

TAU_S = 60.0  # time constant of r1m (kernel/sched/loadavg.c), by which a lease shows in it
NOISE_CPUS = 0.5  # background load of any node; ignored, so that all cpus of an idle node can be had
LOCK_WITHIN_S = 2.0  # for the node's lock; the refusal names its holder
LOCK_AGAIN_MS = 10
LOOKS = 5  # at leases that come and go
ADMIT_WITHIN_S = 4.0  # then the kernel kills a supervisor that hangs in a file system; a client waits 5 s
RESERVE_S = 30.0  # how long a lease waits for its job's start

MARK_BYTES = 1024  # of a lease or a drain mark
LEASES_OF_ONE = 1024  # of one user that are counted; he gets no more, and with more he counts as the whole node
DRAINS_OF_ONE = 17  # drain marks per home that are looked at: the user's own, and proposals
KEPT_OPEN = 512  # leases tested again under the lock; others count as they did at the first look
LISTED = 1 << 20  # entries of the node folder; with more the node takes no job
SQUATS = 1 << 17  # folders in it with the names of other users' folders; the same
HOMES = 4096  # folders of users; the same
FILES_OF_ONE = 1 << 17  # files in all homes of one user; the same
FILES_OF_ALL = 1 << 18  # files in all homes; the same
FILES_RELISTED = 1 << 14  # the same, listed under the lock; with more the user himself gets no lease
RELISTED = 1 << 17  # entries of the node folder that are listed under the lock, if it has changed
SQUATS_RELISTED = 4096  # the same, of folders with the names of other users' folders
STILL_S = 0.02  # longer than a tick of the clock by which the kernel dates changes
OWNERS_ASKED = 4096  # entries whose owners are asked for, to name the user who fills a folder

REAP_S = 1.0  # for one answer; the client asks again for the rest
REAPED_BYTES = 256 << 10  # of findings in one answer
REAP_LISTED = 65536  # entries looked at for one answer
REAP_DEPTH = 64  # of folders in a job's folder
HALF_S = 60.0  # longer than writing a file takes
OPEN_CLAIM_S = 3600.0  # longer than any job takes from claim to start, waiting included

KEPT_OUTPUT_BYTES = 1 << 20  # of an ended job whose end its user has seen; larger output is removed
ORDER_BYTES = 4096  # PIPE_BUF: one write to a FIFO is never torn
WHY_CHARS = 200  # of the reason of an end: at most 12 bytes each, so that an order and `exit` can hold it

EXIT_BYTES = 4096  # reserved at the start, so that the end can be recorded on a full disk
SQUATTED_NAMES = 10

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO put there must not hang us
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


# Errors.


class RefusedError(Exception):
    """This job does not run here: `kind` for programs, `reason` for people, `rc` if a shell would exit with one.

    `promised_cpus`: cpus promised on this node, if they are the reason.
    """

    def __init__(self, kind: str, reason: str, rc: "int | None" = None, promised_cpus: "float | None" = None) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.rc = rc
        self.promised_cpus = promised_cpus

    @classmethod
    def of_fields(cls, fields: "dict[str, Any]") -> "RefusedError":
        """From what `to_fields` has made."""
        return cls(fields["kind"], fields["why"], fields["rc"], fields.get("promised_cpus"))

    def to_fields(self) -> "dict[str, object]":
        """The fields of the event that reports it."""
        fields: "dict[str, object]" = {"kind": self.kind, "why": self.reason, "rc": self.rc}
        if self.promised_cpus is not None:
            fields["promised_cpus"] = self.promised_cpus
        return fields


class MisfitError(Exception):
    """A request is malformed, or does not fit the state of its job."""


def fail_point(name: str) -> None:
    """Die here if the lab says so. Tests use it to crash between two steps (docs/design/jobs.md)."""
    if os.environ.get("CLBALANCE_FAIL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def shown(text: bytes) -> str:
    """Bytes of unknown encoding as text that any JSON reader accepts."""
    return text.decode("utf-8", "backslashreplace")


def refusal_of(error: "OSError | ImportError") -> RefusedError:
    """The refusal of a job whose start failed with this error. `ImportError`: its python3 lacks a module."""
    if isinstance(error, ImportError):
        return RefusedError("resources", "python3: %s" % error)
    kind = "storage" if error.errno in STORAGE_ERRNOS else "resources"
    return RefusedError(kind, os.strerror(error.errno or 0))


# Request lines and framed event lines.


class Lines:
    """Reads lines from a descriptor. None stands for a line longer than `limit` bytes."""

    def __init__(self, fd: int, limit: int = LINE_BYTES) -> None:
        self.fd = fd
        self.limit = limit
        self.partial = bytearray()
        self.too_long = False
        self.closed = False

    def receive(self) -> "list[bytes | None]":
        """The lines completed by one read(2). Sets `closed` at the end of the file."""
        try:
            chunk = os.read(self.fd, READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            chunk = b""
        self.closed = not chunk
        return self.cut(chunk)

    def cut(self, chunk: bytes) -> "list[bytes | None]":
        *ended, rest = chunk.split(b"\n")
        lines = [self.complete(piece) for piece in ended]
        self.extend(rest)
        return lines

    def extend(self, piece: bytes) -> None:
        self.too_long = self.too_long or len(self.partial) + len(piece) > self.limit
        if self.too_long:
            self.partial.clear()
        else:
            self.partial += piece

    def complete(self, piece: bytes) -> "bytes | None":
        self.extend(piece)
        line = None if self.too_long else bytes(self.partial)
        self.partial.clear()
        self.too_long = False
        return line


class Channel:
    """The connection to the client. It never blocks in either direction, so a slow reader delays no job's end."""

    def __init__(self, nonce: str, in_fd: int, out_fd: int) -> None:
        os.set_blocking(in_fd, False)
        os.set_blocking(out_fd, False)
        self.requests = Lines(in_fd)
        self.out_fd = out_fd
        self.prefix = b"\x1eCLB1 " + os.fsencode(nonce) + b" "
        self.unsent = bytearray()
        self.broken = False

    @property
    def over(self) -> bool:
        return self.broken or self.requests.closed

    @property
    def congested(self) -> bool:
        return len(self.unsent) > CONGESTED_BYTES

    def say(self, ev: str, **facts: object) -> None:
        """Queue one event."""
        facts["ev"] = ev
        self.unsent += self.prefix + dumps(facts).encode("ascii") + b"\n"

    def complain(self, reason: str, job: str = "") -> None:
        """Queue an `error` event, with the job's name if it concerns one."""
        self.say("error", why=reason, **({"job": job} if job else {}))

    def flush(self) -> None:
        """Write as much as the client takes now."""
        if not self.unsent:
            return
        try:
            with memoryview(self.unsent) as rest:
                written = os.write(self.out_fd, rest)
        except BlockingIOError:
            return
        except OSError:
            self.broken = True
            return
        del self.unsent[:written]


# The hello.

MADE_BASE = b"/var/lib/clbalance"
USUAL_BASE = b"/var/tmp"  # files in it are opened without links, and their owner is checked


def find_base() -> bytes:
    """The folder for the jobs of all users: the lab's, else the administrator's, else /var/tmp.

    The environment comes from the node: its sshd started this process, and a request cannot change it.
    """
    named = os.environb.get(b"CLBALANCE_NODE_DIR")
    if named:
        return named
    return MADE_BASE if roots_mode(MADE_BASE) in (0o1777, 0o755) else USUAL_BASE


def is_prepared(base: bytes) -> bool:
    """Whether an administrator has made a folder for each user there, and nobody else makes any."""
    return roots_mode(base) == 0o755


def roots_mode(folder: bytes) -> "int | None":
    """The mode of a folder of root's; None if it is none."""
    try:
        facts = os.lstat(folder)
    except OSError:
        return None
    return stat.S_IMODE(facts.st_mode) if stat.S_ISDIR(facts.st_mode) and facts.st_uid == 0 else None


def greet(base: bytes) -> Channel:
    """Say hello before further modules are loaded: the client answers meanwhile."""
    with suppress(OSError):
        os.close(3)  # the shell had this text there
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the client, which then asks us
    os.umask(0o022)
    channel = Channel(sys.argv[1], 0, 1)
    version = "%d.%d.%d" % sys.version_info[:3]
    channel.say("hello", protocol=PROTOCOL, python=version, uid=os.geteuid(), node_dir=shown(base))
    channel.flush()
    return channel
