"""The conversation's form: limits, error texts, lines in, framed lines out, and the hello that comes first."""

import contextlib
import errno
import json
import os
import signal
import stat
import sys

MYPY = False
if MYPY:
    from typing import Any

PROTOCOL = 2

LINE_BYTES = 4 << 20  # the longest request; more is skipped and answered with an error
READ_BYTES = 64 << 10
CHUNK_BYTES = 48 << 10  # of output in one event: 64 KiB as base64
CONGESTED_BYTES = 256 << 10  # unsent events above which no output is read and no request accepted

POLL_SHORTEST_S = 0.02  # how soon a file that grew is looked at again
POLL_LONGEST_S = 0.25
LOG_TOLD_EVERY_S = 0.05  # of short tasks that follow each other

LEFTOVER_GRACE_S = 1.0  # between TERM and KILL for what outlives a job's first process
UNTIED_GRACE_S = 1.0  # the same for a tied job whose agent went away, and at a supervisor's SIGTERM
HANG_UP_PATIENCE_S = 5.0  # for a program whose terminal has gone (SIGHUP)
LISTEN_LONGEST_S = 3600.0  # poll(2) takes no more than 24 days
KILL_AGAIN_S = 0.05
KILL_PATIENCE_S = 5.0  # what KILL has not ended by then (D state, another uid) is reported and left
KILL_AT_ADMISSION_S = 1.0  # the same for what a dead supervisor has left, which keeps the next job waiting
CHECKPOINT_LOOK_S = 0.25  # between two looks at the file that a job writes when it is told to checkpoint
CHECKPOINT_STILL_S = 1.0  # so long it has not changed when it counts as written
PSS_WITHIN_S = 0.5  # for the exact memory of all processes of one job; the others of the agent's jobs wait for it
STOP_WITHIN_S = 1.0  # for one hunt after processes that fork while they are being stopped

WATCH_S = 0.5  # between two looks at the memory of a job that is limited
WATCH_AGAIN_S = 0.05  # after one that was too much: it must be so twice
WATCH_SHARE = 50  # of the time: looking takes at most a fiftieth of one cpu
FAR_BEYOND = 1.25  # of its limit: a job that has taken so much is given no time to end itself
SCOPE_WITHIN_S = 2.0  # for systemd-run, then the job is started without a scope
MOST_CPU_IDS = 8192  # in one node (NR_CPUS of any distribution)

TAU_S = 60.0  # the memory of r1m (kernel/sched/loadavg.c): so a lease comes into view
NOISE_CPUS = 0.5  # of load without a lease that every node has, so that all cpus of an idle one can be had
LOCK_WITHIN_S = 2.0  # for the node's lock; who holds it longer is named in the refusal
LOCK_AGAIN_MS = 10
LOOKS = 5  # at a node whose leases come and go
ADMIT_WITHIN_S = 5.0  # then the kernel ends a supervisor that hangs in somebody's file system, its locks with it
RESERVE_S = 30.0  # how long a lease is kept for a job that is not started

MARK_BYTES = 1024  # of a lease or a drain mark
MARKS_OF_ONE = 256  # leases of one owner that are looked at
DRAINS_OF_ONE = 17  # drain marks of one owner that are looked at: his own, and proposals
KEPT_OPEN = 512  # leases that are tested again under the lock; a further one counts if it held at the first look
LISTED = 4096  # entries of one folder, or homes in one base, that are looked at
HOMES_OF_ONE = 10  # as many names as there are for one user

REAP_S = 1.0  # for one answer; what is left then is asked for again
REAPED_AT_ONCE = 256  # findings in one answer
REAP_LISTED = 65536  # entries of one folder of our own
REAP_DEPTH = 64  # of folders in a job's folder
HALF_S = 60.0  # longer than anybody takes to complete a file
OPEN_CLAIM_S = 3600.0  # longer than any job is between its claim and its start, a waiting one included

KEPT_OUTPUT_BYTES = 1 << 20  # of an ended job that its user has seen; more is removed
ORDER_BYTES = 4096  # PIPE_BUF: what is written to a FIFO at once is never torn
WHY_CHARS = 200  # of the reason for an end: 12 bytes each at worst, so that both an order and `exit` hold it

EXIT_BYTES = 4096  # reserved at the start, so that a job that fills the disk can still leave its end behind
SQUATTED_NAMES = 10

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO put there must not hang us
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


# How things that go wrong are told.


class RefusedError(Exception):
    """This job does not run here: `kind` for programs, `reason` for people, `rc` where a shell would have had one.

    `promised_cpus`: what is promised here by now, where that is the reason.
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
        """What an event says of it."""
        fields: "dict[str, object]" = {"kind": self.kind, "why": self.reason, "rc": self.rc}
        if self.promised_cpus is not None:
            fields["promised_cpus"] = self.promised_cpus
        return fields


class MisfitError(Exception):
    """A request, or a field of one, that cannot be meant."""


def fail_point(name: str) -> None:
    """Die here if the lab says so: the windows between two steps, for tests (docs/design/jobs.md)."""
    if os.environ.get("CLBALANCE_FAIL_AT") == name:
        os.kill(os.getpid(), signal.SIGKILL)


def shown(text: bytes) -> str:
    """Foreign bytes as text that any JSON reader takes."""
    return text.decode("utf-8", "backslashreplace")


def refusal_of(error: OSError) -> RefusedError:
    """Why a job that has not started cannot, from what the system said."""
    kind = "storage" if error.errno in STORAGE_ERRNOS else "resources"
    return RefusedError(kind, os.strerror(error.errno or 0))


# Lines in, framed lines out.


class Lines:
    """Cuts what a descriptor delivers into lines; None stands for one that was longer than `limit`."""

    def __init__(self, fd: int, limit: int = LINE_BYTES) -> None:
        self.fd = fd
        self.limit = limit
        self.partial = bytearray()
        self.too_long = False
        self.closed = False

    def receive(self) -> "list[bytes | None]":
        """The lines that one read completes; `closed` is set at the end."""
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
    """The way to the client. Neither direction ever blocks, so a slow reader delays no job's end."""

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
        self.unsent += self.prefix + json.dumps(facts).encode("ascii") + b"\n"

    def complain(self, reason: str, job: str = "") -> None:
        """Queue an `error`, of that job where it concerns one."""
        self.say("error", why=reason, **({"job": job} if job else {}))

    def flush(self) -> None:
        """Write what the client takes now."""
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


# The first word.


def find_base() -> bytes:
    """The folder for everyone's jobs: the lab's own, else an administrator's, else the one for lasting temporary files.

    The environment is the node's: this process was started by its sshd, and a request cannot change it.
    """
    named = os.environb.get(b"CLBALANCE_NODE_DIR")
    if named:
        return named
    made = b"/var/lib/clbalance"
    try:
        facts = os.lstat(made)
    except OSError:
        return b"/var/tmp"  # what is in it is opened without links and checked for its owner
    shared = stat.S_ISDIR(facts.st_mode) and stat.S_IMODE(facts.st_mode) == 0o1777
    return made if shared and facts.st_uid == 0 else b"/var/tmp"


def greet(base: bytes) -> Channel:
    """Say hello before the sections below are even compiled (engine/agent/protocol.py): the client answers
    meanwhile.
    """
    with contextlib.suppress(OSError):
        os.close(3)  # this text, where the shell had it
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the client, which then asks us
    os.umask(0o022)
    channel = Channel(sys.argv[1], 0, 1)
    version = "%d.%d.%d" % sys.version_info[:3]
    channel.say("hello", protocol=PROTOCOL, python=version, uid=os.geteuid(), node_dir=shown(base))
    channel.flush()
    return channel


if __name__ == "__main__":
    BASE = find_base()
    CHANNEL = greet(BASE)
