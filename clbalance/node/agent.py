"""Admits jobs to a node, starts them, passes their output on and ends them, over standard input and output.

Enters: requests, one JSON object a line. Leaves: framed events, and job folders, leases and drain marks on disk. The
protocol, the processes and what each crash leaves behind are in docs/design/agent.md and docs/design/leases.md.

It reaches a node as text on the standard input of a shell and runs under `python3 -I -S`, 3.6 or later. So it is one
file, uses the standard library alone, and imports at start-up what every run needs and no more; types are quoted
because 3.6 cannot evaluate them, and `typing` alone costs 4 ms.

Sections: words · wire · hello · fields · node folder · marks · capacity · admission · spec · program · process tree ·
supervisor · follower · agent.
"""

import base64
import binascii
import contextlib
import errno
import itertools
import json
import os
import re
import select
import signal
import stat
import struct
import sys
import time

MYPY = False
if MYPY:
    from typing import Any, Callable

PROTOCOL = 1

LINE_BYTES = 4 << 20  # the longest request; more is skipped and answered with an error
READ_BYTES = 64 << 10
CHUNK_BYTES = 48 << 10  # of output in one event: 64 KiB as base64
CONGESTED_BYTES = 256 << 10  # unsent events above which no output is read and no request accepted

POLL_SHORTEST_S = 0.02  # how soon a file that grew is looked at again
POLL_LONGEST_S = 0.25

LEFTOVER_GRACE_S = 1.0  # between TERM and KILL for what outlives a job's first process
UNTIED_GRACE_S = 1.0  # the same for a whole job whose agent went away
LISTEN_LONGEST_S = 3600.0  # poll(2) takes no more than 24 days
KILL_AGAIN_S = 0.05
KILL_PATIENCE_S = 5.0  # what KILL has not ended by then (D state, another uid) is reported and left
STOP_WITHIN_S = 1.0  # for one hunt after processes that fork while they are being stopped

TAU_S = 60.0  # the memory of r1m (kernel/sched/loadavg.c): so a lease comes into view
NOISE_CPUS = 0.5  # of load without a lease that every node has, so that all cpus of an idle one can be had
LOCK_WITHIN_S = 2.0  # for the node's lock; who holds it longer is named in the refusal
LOCK_AGAIN_MS = 10
LOOKS = 5  # at a node whose leases come and go
ADMIT_WITHIN_S = 5.0  # then the kernel ends a supervisor that hangs in somebody's file system, its locks with it
RESERVE_S = 30.0  # how long a lease is kept for a job that is not started

MARK_BYTES = 1024  # of a lease or a drain mark
MARKS_OF_ONE = 256  # leases of one owner that are looked at
KEPT_OPEN = 512  # leases that are tested again under the lock; a further one counts if it held at the first look
LISTED = 4096  # entries of one folder, or homes in one base, that are looked at
HOMES_OF_ONE = 10  # as many names as there are for one user

EXIT_BYTES = 4096  # reserved at the start, so that a job that fills the disk can still leave its end behind
SQUATTED_NAMES = 10

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # NONBLOCK: a FIFO put there must not hang us
WRITE_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

STORAGE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


# -- words: how things that go wrong are told -----------------------------------------------------


class RefusedError(Exception):
    """This job does not run here: `kind` for programs, `why` for people, `rc` where a shell would have had one."""

    def __init__(self, kind: str, why: str, rc: "int | None" = None) -> None:
        super().__init__(why)
        self.kind = kind
        self.why = why
        self.rc = rc


class MisfitError(Exception):
    """A request, or a field of one, that cannot be meant."""


def shown(text: bytes) -> str:
    """Foreign bytes as text that any JSON reader takes."""
    return text.decode("utf-8", "backslashreplace")


def refusal_of(error: OSError) -> RefusedError:
    """Why a job that has not started cannot, from what the system said."""
    kind = "storage" if error.errno in STORAGE_ERRNOS else "resources"
    return RefusedError(kind, os.strerror(error.errno or 0))


# -- wire: lines in, framed lines out -------------------------------------------------------------


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


# -- hello: the first word -------------------------------------------------------------------------


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
    """Say hello before the sections below are even compiled (engine/agent_wire.py): the client answers meanwhile."""
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


# -- fields: what JSON objects may hold -----------------------------------------------------------

REQUIRED = object()


class Count:
    """The kind of a whole number that is not negative."""


KINDS = {
    str: "text",
    int: "a whole number",
    Count: "a whole number, 0 or more",
    float: "a number, 0 or more",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}

# By name: the kind, and what stands for a missing one. Where that is None, null may be given too.
REQUESTS = {
    "claim": {},
    "admit": {"lease": (dict, REQUIRED), "capacity": (dict, REQUIRED)},
    "put": {"file": (str, REQUIRED), "data": (str, REQUIRED)},
    "start": {"spec": (dict, REQUIRED)},
    "follow": {"window": (int, REQUIRED)},
    "ack": {"stream": (str, REQUIRED), "offset": (int, REQUIRED)},
    "signal": {"signal": (int, REQUIRED)},
    "end": {"grace_s": (float, REQUIRED), "why": (str, REQUIRED)},
    "forget": {},
    "drain": {"reason": (str, REQUIRED), "by": (str, REQUIRED), "until": (float, None)},
    "resume": {},
}  # type: dict[str, dict[str, Any]]

OF_THE_NODE = ("drain", "resume")  # these name no job

WISH = {
    "cpus": (float, REQUIRED),
    "mem_bytes": (Count, REQUIRED),
    "gpu_count": (Count, REQUIRED),
    "gpu_candidates": (list, REQUIRED),
    "slots": (Count, REQUIRED),
    "exclusive": (bool, REQUIRED),
    "name": (str, ""),
}  # type: dict[str, Any]

CAPACITY = {"cpus": (float, None), "slots": (Count, None)}  # type: dict[str, Any]

LEASE = {
    "v": (int, REQUIRED),
    "cpus": (float, REQUIRED),
    "mem_bytes": (Count, REQUIRED),
    "gpus": (list, REQUIRED),
    "slots": (Count, REQUIRED),
    "exclusive": (bool, REQUIRED),
    "uptime_s": (float, REQUIRED),
    "name": (str, REQUIRED),
}  # type: dict[str, Any]

DRAIN = {
    "v": (int, REQUIRED),
    "reason": (str, REQUIRED),
    "by": (str, REQUIRED),
    "at": (float, REQUIRED),
    "until": (float, None),
}  # type: dict[str, Any]

SPEC = {
    "name": (str, ""),
    "argv": (list, None),
    "script": (dict, None),
    "env": (dict, {}),
    "chdir": (str, None),
    "chdir_explicit": (bool, False),
    "umask": (int, 0o022),
    "login": (bool, False),
    "time_limit_s": (float, None),
    "grace_s": (float, 5.0),
    "tied": (bool, True),
}  # type: dict[str, Any]

SCRIPT = {"name": (str, REQUIRED), "args": (list, [])}  # type: dict[str, Any]


def is_a(kind: type, value: object) -> bool:
    """Whether a JSON value is of `kind`: a flag is no number, and a `float` is finite and not negative."""
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, (int, float)) and 0 <= value < 1e12
    if kind is Count:
        return isinstance(value, int) and 0 <= value <= 1 << 60
    return isinstance(value, kind)


def checked(raw: "dict[str, Any]", fields: "dict[str, Any]", where: str) -> "dict[str, Any]":
    """Every field of `fields`, given or defaulted; unknown, missing and wrong ones are a `MisfitError`."""
    for name in raw:
        if name not in fields:
            raise MisfitError("%s has no field %r; it has %s" % (where, name[:40], ", ".join(sorted(fields))))
    full = {}
    for name, (kind, default) in fields.items():
        value = raw.get(name, default)
        if value is REQUIRED:
            raise MisfitError("%s lacks its field %r" % (where, name))
        if not (value is default or is_a(kind, value)):
            raise MisfitError("%s: %r must be %s, not %.60r" % (where, name, KINDS[kind], value))
        full[name] = value
    return full


def parse_request(line: "bytes | None") -> "dict[str, Any]":
    """One request with all its fields, `op` and, but for those of the node, `job` among them."""
    if line is None:
        raise MisfitError("a line is longer than %d bytes" % LINE_BYTES)
    try:
        raw = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise MisfitError("not JSON: %.60r" % line) from None
    op = raw.get("op") if isinstance(raw, dict) else None
    if not isinstance(op, str) or op not in REQUESTS:
        raise MisfitError("not a request: %.60r; `op` is one of %s" % (line, ", ".join(sorted(REQUESTS))))
    fields = dict(REQUESTS[op], op=(str, REQUIRED))
    if op in OF_THE_NODE:
        return checked(raw, fields, op)
    request = checked(raw, dict(fields, job=(str, REQUIRED)), op)
    if not re.fullmatch(r"[0-9a-f]{32}\.[1-9][0-9]{0,5}", request["job"]):
        raise MisfitError("%s: %.60r is no job; one is named <32 hexadecimal digits>.<attempt>" % (op, request["job"]))
    return request


def encoded(text: object, where: str) -> bytes:
    """Text for the system. Bytes that are not UTF-8 come as lone surrogates, Python's `surrogateescape`."""
    if not isinstance(text, str):
        raise MisfitError("%s must be text, not %.60r" % (where, text))
    try:
        raw = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise MisfitError("%s holds surrogates that stand for no byte" % where) from None
    if b"\0" in raw:
        raise MisfitError("%s holds a NUL" % where)
    return raw


# -- node folder: where jobs are kept -------------------------------------------------------------


def open_own_folder(parent: int, name: str, mode: int) -> "int | None":
    """A folder of ours in `parent`, made if missing; None where a stranger, a link or loose rights make it unfit."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
    try:
        fd = os.open(name, FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EACCES):
            return None
        raise
    facts = os.fstat(fd)
    if facts.st_uid == os.geteuid() and not stat.S_IMODE(facts.st_mode) & ~mode:
        return fd
    os.close(fd)
    return None


def empty_folder(folder: int) -> None:
    """Remove all that is in a folder, following no link."""
    for name in os.listdir(folder):
        try:
            os.unlink(name, dir_fd=folder)
        except IsADirectoryError:
            inner = os.open(name, FOLDER, dir_fd=folder)
            try:
                empty_folder(inner)
            finally:
                os.close(inner)
            os.rmdir(name, dir_fd=folder)


def write_all(fd: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]


def write_file(folder: int, name: str, flags: int, content: bytes) -> None:
    """Open, write and close, telling what the disk answers."""
    fd = os.open(name, flags, 0o600, dir_fd=folder)
    try:
        write_all(fd, content)
    finally:
        os.close(fd)


class JobsFolder:
    """This user's `jobs` on this node, reached by descriptors so that no part of the way can be swapped.

    `home`, the folder around it, is where his leases and his drain mark lie, for everyone to see.
    """

    def __init__(self, base: bytes) -> None:
        if not base.startswith(b"/"):
            raise RefusedError("node_dir", "CLBALANCE_NODE_DIR must be an absolute path, not `%s`" % shown(base))
        try:
            top = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self.home, self.home_fd, self.fd = self.descend(top, base)
            finally:
                os.close(top)
        except OSError as error:
            kind = "storage" if error.errno in STORAGE_ERRNOS else "node_dir"
            raise RefusedError(kind, "%s: %s" % (shown(base), os.strerror(error.errno or 0))) from error

    @staticmethod
    def descend(top: int, base: bytes) -> "tuple[bytes, int, int]":
        """The first fit one of several names: anyone may squat on a name in a folder for everyone."""
        own = "clbalance-%d" % os.geteuid()
        names = [own, *("%s-%d" % (own, n) for n in range(1, SQUATTED_NAMES))]
        for name in names:
            home = open_own_folder(top, name, 0o755)
            if home is None:
                continue
            jobs = open_own_folder(home, "jobs", 0o700)
            if jobs is not None:
                return b"%s/%s" % (base, os.fsencode(name)), home, jobs
            os.close(home)
        where = "%s/%s … %s" % (shown(base), names[0], names[-1])
        raise RefusedError("node_dir", "%s are all taken by other users or links, or writable by others" % where)

    def claim(self, name: str) -> None:
        """Make the job's folder; whoever makes it first has the only right to start the job here."""
        try:
            os.mkdir(name, 0o700, dir_fd=self.fd)
        except FileExistsError:
            raise RefusedError("exists", "%s was claimed before" % name) from None

    def open(self, name: str) -> int:
        return os.open(name, FOLDER, dir_fd=self.fd)

    def path(self, name: str) -> bytes:
        """Of a job's folder."""
        return b"%s/jobs/%s" % (self.home, os.fsencode(name))

    def write(self, name: str, files: "dict[str, bytes]", flags: int = WRITE_NEW) -> None:
        """Write files in a job's folder."""
        folder = self.open(name)
        try:
            for file, content in files.items():
                write_file(folder, file, flags, content)
        finally:
            os.close(folder)

    def clear(self, name: str) -> None:
        """Keep nothing of a job but its empty folder, the tombstone that makes a second start impossible."""
        folder = self.open(name)
        try:
            empty_folder(folder)
        finally:
            os.close(folder)


def keep_exit(folder: int, record: "dict[str, Any]") -> None:
    """Put a job's end on disk, whole or not at all, into the room that was reserved at its start."""
    fd = os.open("exit.tmp", os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        write_all(fd, json.dumps(record).encode("ascii").ljust(EXIT_BYTES - 1) + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename("exit.tmp", "exit", src_dir_fd=folder, dst_dir_fd=folder)


# -- marks: leases and drain marks, everybody's ---------------------------------------------------

MARK_NAME = re.compile(r"drain|lease-[A-Za-z0-9_-]{1,64}\.[0-9]{1,9}")

FLOCK = "hhqqi4x"  # struct flock of a 64-bit Linux: type, whence, start, len, pid


def mark_text(facts: "dict[str, Any]") -> bytes:
    return json.dumps(facts, ensure_ascii=False).encode("utf-8", "backslashreplace")


def put_mark(home: int, name: str, content: bytes) -> None:
    """A file for everyone to read, whole or not at all. The sticky bit keeps systemd-tmpfiles from ageing it."""
    fresh = "%s.%d.tmp" % (name, os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh, dir_fd=home)
    fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
    try:
        write_all(fd, content)
        os.fchmod(fd, 0o1644)
        os.rename(fresh, name, src_dir_fd=home, dst_dir_fd=home)
    except OSError:
        os.unlink(fresh, dir_fd=home)
        raise
    finally:
        os.close(fd)


def is_promise(fd: int) -> bool:
    """Whether another process holds a write lock on it. A read lock, which anyone may take, is none."""
    import fcntl

    asked = struct.pack(FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    answer = fcntl.fcntl(fd, fcntl.F_GETLK, asked)
    return bool(struct.unpack(FLOCK, answer)[0] != fcntl.F_UNLCK)


class Lock:
    """One line of /proc/locks."""

    def __init__(self, kind: bytes, pid: bytes, place: bytes) -> None:
        self.kind = kind
        self.pid = pid
        self.device, self.inode = place.rsplit(b":", 1)


def write_locks() -> "list[Lock]":
    """Who holds which, as far as this kernel lets us see; who merely waits (`->`) is left out."""
    locks = []
    try:
        with open("/proc/locks", "rb") as file:
            for line in file:
                fields = line.split()
                if len(fields) >= 6 and fields[3] == b"WRITE":
                    locks.append(Lock(fields[1], fields[4], fields[5]))
    except OSError:
        return []
    return locks


def user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return "uid %d" % uid


def holder_of(fd: int) -> str:
    """Who has flocked this inode. Where several file systems count alike, the one with its device comes first."""
    facts = os.fstat(fd)
    device = b"%02x:%02x" % (os.major(facts.st_dev), os.minor(facts.st_dev))
    locks = [lock for lock in write_locks() if lock.kind == b"FLOCK" and int(lock.inode) == facts.st_ino]
    if not locks:
        return "a process that /proc/locks does not show"
    pid = int(min(locks, key=lambda lock: lock.device != device).pid)
    try:
        return "pid %d, user %s" % (pid, user_name(os.stat("/proc/%d" % pid).st_uid))
    except OSError:
        return "pid %d, user unknown" % pid


class Mark:
    """A file that may be a lease or a drain mark: a name and an inode in a home. It says nothing by itself."""

    __slots__ = ("home", "inode", "name", "uid")

    def __init__(self, home: bytes, uid: int, name: str, inode: int) -> None:
        self.home = home
        self.uid = uid
        self.name = name
        self.inode = inode

    @property
    def identity(self) -> "tuple[bytes, str, int]":
        return self.home, self.name, self.inode


def list_marks(base: bytes) -> "list[Mark]":
    """All marks of all users, none of them opened. What one user may put there is bounded, for himself alone."""
    bases = [base, b"/var/tmp"] if base == b"/var/lib/clbalance" else [base]  # what was promised before it was made
    counts = {}  # type: dict[int, int]
    marks = []  # type: list[Mark]
    for home in itertools.chain(*map(homes_in, bases)):
        try:
            fd = os.open(home, FOLDER)
        except OSError as error:
            not_for_want_of_ours(error)  # but a link, a file, gone, or closed to us
            continue
        try:
            uid = os.fstat(fd).st_uid
            counts[uid] = counts.get(uid, 0) + 1
            if counts[uid] <= HOMES_OF_ONE:
                marks += marks_in(home, fd, uid)
        finally:
            os.close(fd)
    return marks


def not_for_want_of_ours(error: OSError) -> None:
    """A lease that we fail to see would be promised again: what we are short of is no word on it."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM):
        raise error


def homes_in(folder: bytes) -> "list[bytes]":
    with os.scandir(folder) as entries:
        names = [entry.name for entry in itertools.islice(entries, LISTED)]
    return [folder + b"/" + name for name in names if re.fullmatch(rb"clbalance-[0-9]+(-[1-9])?", name)]


def marks_in(home: bytes, fd: int, uid: int) -> "list[Mark]":
    """Regular files only. Of too many leases those come first that seem to be held."""
    found = []  # type: list[Mark]
    with os.scandir("/proc/self/fd/%d" % fd) as entries:  # 3.6 cannot list a descriptor
        found += [
            Mark(home, uid, entry.name, entry.inode())
            for entry in itertools.islice(entries, LISTED)
            if MARK_NAME.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
        ]
    if len(found) > MARKS_OF_ONE:
        locked = {int(lock.inode) for lock in write_locks()}
        found.sort(key=lambda mark: (mark.name != "drain", mark.inode not in locked))
    return found[:MARKS_OF_ONE]


def open_mark(mark: Mark) -> "int | None":
    """The file, if it is what was listed and its folder's owner's; None where it is not, or has gone.

    A `PermissionError` where it is his, but not for us to read.
    """
    try:
        home = os.open(mark.home, FOLDER)
    except OSError as error:
        not_for_want_of_ours(error)
        return None
    try:
        facts = os.stat(mark.name, dir_fd=home, follow_symlinks=False)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != mark.uid:
            return None
        fd = os.open(mark.name, READ, dir_fd=home)
    except PermissionError:
        raise
    except OSError as error:
        not_for_want_of_ours(error)
        return None
    finally:
        os.close(home)
    if os.path.samestat(facts, os.fstat(fd)):
        return fd
    os.close(fd)
    return None


def read_mark(fd: int) -> bytes:
    """What it says, and one byte more than it may; nothing where that cannot be read."""
    try:
        return os.read(fd, MARK_BYTES + 1)
    except OSError:
        return b""


def parse_mark(content: bytes, fields: "dict[str, Any]") -> "dict[str, Any] | None":
    """The JSON object of a mark; None where it cannot be read. Unknown keys are for later versions."""
    try:
        raw = json.loads(content.decode("utf-8")) if len(content) <= MARK_BYTES else None
        if not isinstance(raw, dict):
            return None
        told = checked({name: value for name, value in raw.items() if name in fields}, fields, "mark")
    except (ValueError, RecursionError, MisfitError):
        return None
    return told if told["v"] == 1 else None


class Lease:
    """A promise that holds. Without `told` nobody can say how much it promises, so it is the whole node.

    `fd` answers whether it still holds; without it nobody can say that it does not.
    """

    def __init__(self, uid: int, told: "dict[str, Any] | None", fd: "int | None" = None) -> None:
        self.uid = uid
        self.told = told
        self.fd = fd

    @property
    def holds(self) -> bool:
        return self.fd is None or is_promise(self.fd)


def read_lease(mark: Mark) -> "Lease | None":
    """The lease, if it holds. A void one of our own is removed: nobody can bring it back to life."""
    try:
        fd = open_mark(mark)
    except PermissionError:
        locked = any(int(lock.inode) == mark.inode and lock.kind == b"POSIX" for lock in write_locks())
        return Lease(mark.uid, None) if locked else None
    if fd is None:
        return None
    if is_promise(fd):
        return Lease(mark.uid, parse_lease(read_mark(fd)), fd)
    os.close(fd)
    if mark.uid == os.geteuid():
        with contextlib.suppress(OSError):
            os.unlink(mark.home + b"/" + os.fsencode(mark.name))
    return None


def parse_lease(content: bytes) -> "dict[str, Any] | None":
    told = parse_mark(content, LEASE)
    return told if told is not None and all(isinstance(gpu, str) for gpu in told["gpus"]) else None


class Drain:
    """A drain mark that binds us; without `told` it cannot be read, and binds all the same."""

    def __init__(self, uid: int, told: "dict[str, Any] | None") -> None:
        self.uid = uid
        self.told = told

    def binds(self, now: float) -> bool:
        return self.told is None or self.told["until"] is None or now < self.told["until"]

    def refusal(self) -> RefusedError:
        told = self.told or {"reason": "unreadable", "by": "", "until": None}
        owner = user_name(self.uid)
        by = owner if told["by"] in ("", owner) else "%s as %s" % (told["by"][:40], owner)
        until = "" if told["until"] is None else ", for another %.0f s" % (told["until"] - time.time())
        return RefusedError("drained", "%s (by %s%s)" % (told["reason"][:200], by, until))


def read_drain(mark: Mark, admins: "set[str]") -> "Drain | None":
    """The mark, if its owner may bind us: root, who is listed as administrator, and we ourselves."""
    if mark.uid not in (0, os.geteuid()) and not (admins and user_name(mark.uid) in admins):
        return None
    try:
        fd = open_mark(mark)
    except PermissionError:
        return Drain(mark.uid, None)
    if fd is None:
        return None
    try:
        return Drain(mark.uid, parse_mark(read_mark(fd), DRAIN))
    finally:
        os.close(fd)


def read_admins() -> "set[str]":
    """The users whose drain marks bind everyone: a name a line, in root's file, or in our own in the lab."""
    try:
        fd = os.open(os.environb.get(b"CLBALANCE_ADMINS") or b"/etc/clbalance/admins", READ & ~os.O_NOFOLLOW)
    except OSError:
        return set()
    try:
        facts = os.fstat(fd)
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid not in (0, os.geteuid()) or facts.st_mode & 0o022:
            return set()
        lines = os.read(fd, READ_BYTES).decode("utf-8", "replace").split("\n")
    finally:
        os.close(fd)
    return {line.strip() for line in lines if line.strip()}


# -- capacity: what a node can still promise ------------------------------------------------------


class Wish:
    """What a job asks a node to promise, and what its client knows better than the node of how much there is."""

    def __init__(self, lease: "dict[str, Any]", capacity: "dict[str, Any]") -> None:
        try:
            asked = checked(lease, WISH, "lease")
            known = checked(capacity, CAPACITY, "capacity")
            for gpu in asked["gpu_candidates"]:
                if not isinstance(gpu, str) or not re.fullmatch(r"(GPU|MIG)-[0-9A-Za-z/-]{1,80}", gpu):
                    raise MisfitError("lease: %.60r is no GPU's UUID" % (gpu,))
        except MisfitError as misfit:
            raise RefusedError("spec", str(misfit)) from None
        self.cpus = asked["cpus"]
        self.mem_bytes = asked["mem_bytes"]
        self.gpu_count = asked["gpu_count"]
        self.gpu_candidates = list(dict.fromkeys(asked["gpu_candidates"]))
        self.slots = asked["slots"]
        self.exclusive = asked["exclusive"]
        self.name = asked["name"][:40]
        self.capacity_cpus = known["cpus"]
        self.capacity_slots = known["slots"]

    @property
    def is_empty(self) -> bool:
        """Asks for no part of a node, and fits on a full one; a slot alone is nothing."""
        return not (self.cpus or self.mem_bytes or self.gpu_count or self.exclusive)


class Measured:
    """What the node's kernel says of itself at this moment."""

    def __init__(self, cpus: int, r1m: float, uptime_s: float, mem_total: int, mem_available: int) -> None:
        self.cpus = cpus
        self.r1m = r1m
        self.uptime_s = uptime_s
        self.mem_total = mem_total
        self.mem_available = mem_available


def measure() -> Measured:
    """Unknown is never idle: what cannot be measured refuses the job."""
    folder = os.environb.get(b"CLBALANCE_PROCFS") or b"/proc"
    texts = {}
    try:
        for name in (b"loadavg", b"uptime", b"stat", b"meminfo"):
            with open(folder + b"/" + name, "rb") as file:
                texts[name] = file.read()
        mem = dict(re.findall(rb"^(MemTotal|MemAvailable): *([0-9]+) kB", texts[b"meminfo"], re.MULTILINE))
        return Measured(
            cpus=len(re.findall(rb"^cpu[0-9]", texts[b"stat"], re.MULTILINE)),
            r1m=float(texts[b"loadavg"].split()[0]),
            uptime_s=float(texts[b"uptime"].split()[0]),
            mem_total=int(mem[b"MemTotal"]) << 10,
            mem_available=int(mem[b"MemAvailable"]) << 10,
        )
    except (OSError, ValueError, LookupError) as error:
        where = "load, uptime or memory is unknown: %s: %s" % (shown(folder), error)
        raise RefusedError("resources", where) from None


class LackError(Exception):
    """The node has too little of something; `shares` tells by uid how much of it each owner was promised."""

    def __init__(self, kind: str, what: str, shares: "dict[int, str]") -> None:
        super().__init__(what)
        self.kind = kind
        self.what = what
        self.shares = shares

    def refusal(self) -> RefusedError:
        """With the owners' names, which may come from afar: not to be asked for under the node's lock."""
        owners = ["%s %s" % (user_name(uid), share) for uid, share in sorted(self.shares.items())[:5]]
        rest = len(self.shares) - len(owners)
        leased = ", ".join(owners) + (" and %d more" % rest if rest else "")
        return RefusedError(self.kind, "%s; leased: %s" % (self.what, leased) if leased else self.what)


def shares_of(leases: "list[Lease]", told: "Callable[[list[Lease]], str]") -> "dict[int, str]":
    owned = {}  # type: dict[int, list[Lease]]
    for lease in leases:
        owned.setdefault(lease.uid, []).append(lease)
    return {uid: told(some) for uid, some in owned.items()}


def promised(leases: "list[Lease]", field: str) -> float:
    return float(sum(lease.told[field] for lease in leases if lease.told is not None))


def visible(leases: "list[Lease]", field: str, uptime_s: float) -> float:
    """What of a measured load is the leases' own: the share of each that an average with τ shows at its age."""
    import math

    told = [lease.told for lease in leases if lease.told is not None]
    ages_s = [max(0.0, uptime_s - each["uptime_s"]) for each in told]
    return float(sum(each[field] * (1 - math.exp(-age_s / TAU_S)) for each, age_s in zip(told, ages_s)))  # noqa: B905 - 3.6


def others_cpus(leases: "list[Lease]", node: Measured) -> float:
    """Cpus in use by whoever has no lease."""
    return max(0.0, node.r1m - visible(leases, "cpus", node.uptime_s) - NOISE_CPUS)


def free_cpus(capacity: float, leases: "list[Lease]", node: Measured) -> float:
    return capacity - promised(leases, "cpus") - others_cpus(leases, node)


def free_mem(leases: "list[Lease]", node: Measured) -> float:
    used = node.mem_total - node.mem_available
    others = max(0.0, used - visible(leases, "mem_bytes", node.uptime_s))
    return min(node.mem_available, node.mem_total - promised(leases, "mem_bytes") - others)


def grant(wish: Wish, leases: "list[Lease]", node: Measured) -> "list[str]":
    """The GPUs that the job is given, with all else that it asked for; a `LackError` where it cannot be."""
    capacity = node.cpus if wish.capacity_cpus is None else wish.capacity_cpus
    check_exclusive(wish, leases, capacity, node.mem_total)
    if wish.is_empty:
        return []
    check_cpus(wish, leases, capacity, node)
    check_mem(wish, leases, node)
    gpus = free_gpus(wish, leases)
    check_slots(wish, leases)
    return gpus


def whole_node(lease: Lease, capacity: float, mem_total: int) -> str:
    """Why nothing beside this lease can be promised, or nothing."""
    told = lease.told
    if told is None:
        return "a lease that cannot be read"
    if told["exclusive"]:
        return "an exclusive lease"
    beyond = told["cpus"] > capacity or told["mem_bytes"] > mem_total
    return "a lease of more than the node has" if beyond else ""


def check_exclusive(wish: Wish, leases: "list[Lease]", capacity: float, mem_total: int) -> None:
    for lease in leases:
        why = whole_node(lease, capacity, mem_total)
        if why:
            raise LackError("exclusive", "the whole node is taken", {lease.uid: why})
    if wish.exclusive and leases:
        shares = shares_of(leases, lambda some: "%d" % len(some))
        raise LackError("exclusive", "asked for a node without leases, %d are held" % len(leases), shares)


def check_cpus(wish: Wish, leases: "list[Lease]", capacity: float, node: Measured) -> None:
    free = free_cpus(capacity, leases, node)
    if not wish.cpus or wish.cpus <= free + 1e-9:  # a sum that should come out even may miss by so much
        return
    others = others_cpus(leases, node)
    what = "%g cpus asked, %.3g of %g free, %.3g in use besides leases" % (wish.cpus, max(0, free), capacity, others)
    raise LackError("cpus", what, shares_of(leases, lambda some: "%g" % promised(some, "cpus")))


def check_mem(wish: Wish, leases: "list[Lease]", node: Measured) -> None:
    free = free_mem(leases, node)
    if not wish.mem_bytes or wish.mem_bytes <= free:
        return
    sizes = (gib(wish.mem_bytes), gib(max(0, free)), gib(node.mem_total), gib(node.mem_available))
    what = "%s of memory asked, %s of %s free, %s available now" % sizes
    raise LackError("memory", what, shares_of(leases, lambda some: gib(promised(some, "mem_bytes"))))


def gib(size: float) -> str:
    return "%.3g GiB" % (size / 2**30)


def free_gpus(wish: Wish, leases: "list[Lease]") -> "list[str]":
    """The first that nobody has, in the client's order: it has measured them."""
    taken = {gpu for lease in leases if lease.told is not None for gpu in lease.told["gpus"]}
    free = [gpu for gpu in wish.gpu_candidates if gpu not in taken]
    if wish.gpu_count <= len(free):
        return free[: wish.gpu_count]
    what = "%d GPUs asked, %d of %d candidates free" % (wish.gpu_count, len(free), len(wish.gpu_candidates))
    holding = [lease for lease in leases if lease.told is not None and lease.told["gpus"]]
    shares = shares_of(holding, lambda some: "%d" % sum(len((lease.told or {})["gpus"]) for lease in some))
    raise LackError("gpus", what, shares)


def check_slots(wish: Wish, leases: "list[Lease]") -> None:
    if wish.capacity_slots is None or not wish.slots:
        return
    free = wish.capacity_slots - promised(leases, "slots")
    if wish.slots > free:
        what = "%d slots asked, %d of %d free" % (wish.slots, max(0, free), wish.capacity_slots)
        raise LackError("slots", what, shares_of(leases, lambda some: "%d" % promised(some, "slots")))


# -- admission: the node's yes or no, under its lock ----------------------------------------------


def reserve_s() -> float:
    """How long a lease waits for its job to be started; the lab may shorten it."""
    try:
        return float(os.environ.get("CLBALANCE_RESERVE_S") or RESERVE_S)
    except ValueError:
        return RESERVE_S


class OwnLease:
    """The lease of this process, held by an fcntl lock on `fd`.

    Such a lock is gone as soon as its process closes any descriptor of that file: from here on nobody in this
    process may open it again, so there is no listing of leases after this.
    """

    def __init__(self, home: int, name: str, promise: "dict[str, Any]") -> None:
        import fcntl

        self.home = home
        self.name = "lease-" + name
        self.gpus = promise["gpus"]  # type: list[str]
        content = mark_text(promise)
        if len(content) > MARK_BYTES:
            raise RefusedError("gpus", "%d GPUs do not fit into a lease of %d bytes" % (len(self.gpus), MARK_BYTES))
        fresh = "new-" + name
        try:
            self.fd = os.open(fresh, WRITE_NEW, 0o600, dir_fd=home)
            fcntl.lockf(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_all(self.fd, content)
            os.fchmod(self.fd, 0o1644)  # as in `put_mark`
            os.rename(fresh, self.name, src_dir_fd=home, dst_dir_fd=home)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=home)
            raise

    def release(self) -> None:
        """The file goes first: what is seen is held."""
        with contextlib.suppress(OSError):
            os.unlink(self.name, dir_fd=self.home)
        os.close(self.fd)


class Admission:
    """One job's way to its lease (docs/design/leases.md); `known` is what was read without the lock."""

    def __init__(self, name: str, wish: Wish, base: bytes, home_fd: int) -> None:
        self.name = name
        self.wish = wish
        self.base = base
        self.home_fd = home_fd
        self.known = {}  # type: dict[tuple[bytes, str, int], Lease | None]
        self.kept = []  # type: list[int]

    def admit(self, tie: int) -> OwnLease:
        """The lease, or a `RefusedError`; given up when nobody is left at the other end of `tie`."""
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, ADMIT_WITHIN_S)
        try:
            return self.negotiate(tie)
        except LackError as lack:
            raise lack.refusal() from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for fd in self.kept:
                os.close(fd)

    def negotiate(self, tie: int) -> OwnLease:
        until = time.monotonic() + LOCK_WITHIN_S
        marks = list_marks(self.base)
        for _ in range(LOOKS):
            self.read(marks)
            lock = lock_node(self.base, until, tie)
            try:
                marks = list_marks(self.base)
                if all(mark.identity in self.known for mark in marks):
                    return self.decide(marks)
            finally:
                os.close(lock)
        raise RefusedError("lock", "leases came and went all the time; looked %d times" % LOOKS)

    def read(self, marks: "list[Mark]") -> None:
        """What is new since the last look; the files are other people's, so no lock is held meanwhile."""
        fresh = [mark for mark in marks if mark.identity not in self.known]
        admins = read_admins() if any(mark.name == "drain" for mark in fresh) else set()
        for mark in fresh:
            if mark.name == "drain":
                drain = read_drain(mark, admins)
                if drain is not None and drain.binds(time.time()):
                    raise drain.refusal()
                self.known[mark.identity] = None
            else:
                self.known[mark.identity] = self.keep(read_lease(mark))

    def keep(self, lease: "Lease | None") -> "Lease | None":
        """Leave its file open for the test under the lock, within the number that a process may have open."""
        if lease is None or lease.fd is None:
            return lease
        if len(self.kept) < KEPT_OPEN:
            self.kept.append(lease.fd)
            return lease
        os.close(lease.fd)
        return Lease(lease.uid, lease.told)

    def decide(self, marks: "list[Mark]") -> OwnLease:
        """Under the lock: no other user's file is read, nothing here waits for anybody."""
        listed = (self.known[mark.identity] for mark in marks)
        leases = [lease for lease in listed if lease is not None and lease.holds]
        node = measure()
        gpus = grant(self.wish, leases, node)
        for name in os.listdir(self.home_fd):
            if name.startswith("new-"):  # of a supervisor that died in here
                os.unlink(name, dir_fd=self.home_fd)
        wish = self.wish
        promise = {"v": 1, "cpus": wish.cpus, "mem_bytes": wish.mem_bytes, "gpus": gpus, "slots": wish.slots}
        promise.update(exclusive=wish.exclusive, uptime_s=node.uptime_s, name=wish.name)
        return OwnLease(self.home_fd, self.name, promise)


def lock_node(base: bytes, until: float, tie: int) -> int:
    """A descriptor that holds the node's lock until it is closed. The folder is root's: nobody can replace it."""
    import fcntl

    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    hung_up = select.poll()
    hung_up.register(tie, 0)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise RefusedError("lock", "lock held by %s" % holder_of(fd)) from None
                if hung_up.poll(LOCK_AGAIN_MS):
                    raise RefusedError("cancelled", "the connection to the node ended") from None
            else:
                return fd
    except (RefusedError, OSError):
        os.close(fd)
        raise


# -- spec: what a job is, checked -----------------------------------------------------------------


class Spec:
    """What is to run and how; all text as the bytes that the system will see."""

    def __init__(self, raw: "dict[str, Any]") -> None:
        try:
            self.take(checked(raw, SPEC, "spec"))
        except MisfitError as misfit:
            raise RefusedError("spec", str(misfit)) from None

    def take(self, fields: "dict[str, Any]") -> None:
        if (fields["argv"] is None) == (fields["script"] is None):
            raise MisfitError("spec needs either `argv` or `script`")
        self.script = None if fields["script"] is None else checked(fields["script"], SCRIPT, "script")
        words = fields["argv"] if self.script is None else self.script["args"]
        self.words = [encoded(word, "argv") for word in words]
        if self.script is None and not self.words:
            raise MisfitError("`argv` is empty")
        self.env = {encoded(k, "env"): encoded(v, "env %s" % k) for k, v in fields["env"].items()}
        bad = [name for name in self.env if not name or b"=" in name]
        if bad:
            raise MisfitError("env: %r is no name of a variable" % shown(bad[0]))
        self.chdir = None if fields["chdir"] is None else encoded(fields["chdir"], "chdir")
        if self.chdir is not None and not self.chdir.startswith(b"/"):
            raise MisfitError("`chdir` must be an absolute path, not %r" % shown(self.chdir))
        self.chdir_explicit = fields["chdir_explicit"]
        self.umask = fields["umask"]
        if not 0 <= self.umask <= 0o777:
            raise MisfitError("`umask` must lie between 0 and 0o777, not %d" % self.umask)
        self.login = fields["login"]
        self.time_limit_s = fields["time_limit_s"]
        self.grace_s = fields["grace_s"]
        if not fields["tied"]:
            raise MisfitError("`tied` must be true: this agent keeps no job beyond its connection")


# -- program: from a spec to what execve(2) is given ----------------------------------------------


class Program:
    """A file and its argument vector; `name` is what messages call it, `interprets` the script it was named in."""

    def __init__(self, path: bytes, argv: "list[bytes]", interprets: str = "") -> None:
        self.path = path
        self.argv = argv
        self.interprets = interprets

    def refusal(self, error: OSError) -> RefusedError:
        """What a shell would say of an execve that failed, and the code it would exit with."""
        what = self.interprets + ": bad interpreter " + shown(self.path) if self.interprets else shown(self.path)
        if error.errno != errno.ENOENT:
            return RefusedError("exec", "%s: %s" % (what, why_not_executed(self.path, error)), 126)
        if not self.interprets and os.path.exists(self.path):
            return RefusedError("exec", "%s: %s" % (what, missing_interpreter(self.path)), 127)
        return RefusedError("exec", "%s: %s" % (what, os.strerror(errno.ENOENT)), 127)


def why_not_executed(path: bytes, error: OSError) -> str:
    return os.strerror(errno.EISDIR if os.path.isdir(path) else error.errno or 0)


def read_head(path: "bytes | str", dir_fd: "int | None" = None) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def missing_interpreter(path: bytes) -> str:
    """The kernel says ENOENT of a file that is there when what is to run it is not."""
    try:
        words = shebang(read_head(path))
    except OSError:
        words = []
    if not words:
        return "its loader does not exist on this node"
    if words[-1].endswith(b"\r"):
        return "its `#!` line ends with a carriage return; convert it with `dos2unix`"
    return "bad interpreter %s: %s" % (shown(words[0]), os.strerror(errno.ENOENT))


def shebang(head: bytes) -> "list[bytes]":
    """Interpreter and at most one argument of a `#!` line, cut as the kernel cuts it; [] without one."""
    first = head.split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return []
    return [word for word in re.split(rb"[ \t]+", first[2:].strip(b" \t"), maxsplit=1) if word]


def script_program(path: bytes, head: bytes, name: str, args: "list[bytes]") -> Program:
    """How to run a script: its interpreter is executed by us, so that a file system mounted noexec will do."""
    if b"\0" in head.split(b"\n", 1)[0]:
        raise RefusedError("exec", "%s: a binary, not a script; run it as a command: `-- ./%s`" % (name, name), 126)
    words = shebang(head)
    if not words:
        return Program(b"/bin/sh", [b"/bin/sh", path, *args])
    if words[-1].endswith(b"\r"):
        raise RefusedError(
            "exec", "%s: its `#!` line ends with a carriage return (CRLF); use `dos2unix %s`" % (name, name), 127
        )
    return Program(words[0], [*words, path, *args], interprets=name)


def find_program(words: "list[bytes]", search_path: bytes) -> Program:
    """The file that a shell would execute for `words[0]`."""
    name = words[0]
    if b"/" in name:
        return Program(name, words)
    found = [os.path.join(folder or b".", name) for folder in search_path.split(b":")] if name else []
    found = [path for path in found if os.path.isfile(path)]
    for path in found:
        if os.access(path, os.X_OK):
            return Program(path, words)
    if found:
        raise RefusedError("exec", "%s: %s" % (shown(found[0]), os.strerror(errno.EACCES)), 126)
    raise RefusedError("exec", "%s: command not found" % shown(name), 127)


def login_entry() -> "tuple[bytes, bytes]":
    """Home and login shell of this user, empty where the user database does not have them."""
    import pwd

    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        return b"", b""
    return os.fsencode(entry.pw_dir), os.fsencode(entry.pw_shell)


def through_login_shell(shell: bytes, words: "list[bytes]") -> "tuple[Program, list[str]]":
    """`words` executed by a login shell, which finds them on the PATH that its start-up files set; and warnings."""
    shell = shell or b"/bin/sh"
    warnings = []
    if os.path.basename(shell) not in (b"sh", b"bash", b"dash", b"zsh", b"ksh"):
        used = b"/bin/bash" if os.path.exists(b"/bin/bash") else b"/bin/sh"
        warnings.append("the login shell %s is not a POSIX shell; `%s -l` was used" % (shown(shell), shown(used)))
        shell = used
    base = os.path.basename(shell)
    flags = [] if base == b"dash" else [b"-l"]  # old dash has no -l; bash with -c heeds -l but not the dash in its name
    return Program(shell, [b"-" + base, *flags, b"-c", b'exec "$0" "$@"', *words]), warnings


def enter_folder(spec: Spec) -> "tuple[bytes, list[str]]":
    """Go where the job is to run; that path, and a warning where it is not the one that was asked for."""
    home = b""
    warnings = []
    if spec.chdir is not None:
        try:
            os.chdir(spec.chdir)
        except OSError as error:
            why = "%s: %s" % (shown(spec.chdir), os.strerror(error.errno or 0))
            if spec.chdir_explicit:
                raise RefusedError("chdir", why) from error
            warnings.append(why)
        else:
            return spec.chdir, []
    home = login_entry()[0]
    try:
        os.chdir(home)
    except OSError:
        home = b"/"
        os.chdir(home)
    return home, ["%s; running in %s" % (why, shown(home)) for why in warnings]


# -- process tree: everything that a job has started ----------------------------------------------


class Prctl:
    """prctl(2); each call tells whether it worked, for ctypes is missing from some nodes' Python."""

    def __init__(self) -> None:
        try:
            import ctypes

            call = ctypes.CDLL(None).prctl
            call.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
        except (ImportError, OSError, AttributeError):
            call = None
        self.call = call  # type: Any

    def adopt_orphans(self) -> bool:
        """PR_SET_CHILD_SUBREAPER: descendants whose parent dies become children of this process."""
        return self.call is not None and self.call(36, 1, 0, 0, 0) == 0

    def die_with_parent(self, parent: int) -> None:
        """PR_SET_PDEATHSIG: the kernel kills this process when its parent dies, however that happens."""
        if self.call is not None and self.call(1, signal.SIGKILL, 0, 0, 0) == 0 and os.getppid() != parent:
            os._exit(1)


class Process:
    """One line of the process table."""

    __slots__ = ("group", "parent", "session")

    def __init__(self, parent: int, group: int, session: int) -> None:
        self.parent = parent
        self.group = group
        self.session = session


def read_processes() -> "dict[int, Process]":
    """All living processes by pid. A zombie does not live, unless it is a first thread that others outlive."""
    table = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name, "rb") as file:
                facts = file.read()
        except OSError:
            continue
        # The name, in parentheses, may itself hold spaces and parentheses (proc(5)).
        fields = facts[facts.rindex(b")") + 2 :].split()
        state, parent, group, session = fields[:4]
        if state not in b"ZX" or int(fields[17]) > 1:
            table[int(name)] = Process(int(parent), int(group), int(session))
    return table


def below(root: int, table: "dict[int, Process]") -> "set[int]":
    """The descendants of `root`."""
    children = {}  # type: dict[int, list[int]]
    for pid, process in table.items():
        children.setdefault(process.parent, []).append(pid)
    found = set()  # type: set[int]
    rest = [root]
    while rest:
        fresh = [pid for pid in children.get(rest.pop(), ()) if pid not in found]
        found.update(fresh)
        rest.extend(fresh)
    return found


def carrying(launch_key: bytes, table: "dict[int, Process]") -> "set[int]":
    """The processes that were started with this job's key in their environment, as far as we may read it."""
    mark = b"CLBALANCE_JOB_KEY=" + launch_key
    found = set()
    for pid in table:
        try:
            with open("/proc/%d/environ" % pid, "rb") as file:
                environment = file.read()
        except OSError:
            continue
        if mark in environment.split(b"\0"):
            found.add(pid)
    return found


class Tree:
    """The processes of one job, found anew each time: `search` says which of all processes they are.

    `nearest` finds some of them much sooner than a walk through all of /proc can.
    """

    def __init__(
        self, search: "Callable[[dict[int, Process]], set[int]]", nearest: "Callable[[], set[int]]" = set
    ) -> None:
        self.search = search
        self.nearest = nearest

    def members(self) -> "dict[int, Process]":
        table = read_processes()
        return {pid: table[pid] for pid in self.search(table) if pid in table}

    def signal(self, number: int, group: int) -> None:
        """To the process group at once, which none of its processes can fork away from, and to each one outside it."""
        members = self.members()
        if any(process.group == group for process in members.values()):
            send(os.killpg, group, number)
        for pid, process in members.items():
            if process.group != group:
                send(os.kill, pid, number)

    def kill(self) -> "set[int]":
        """KILL them all, each stopped before, so that none forks away between the search and its end."""
        stopped = set()  # type: set[int]
        until = time.monotonic() + STOP_WITHIN_S
        while time.monotonic() < until:
            fresh = self.nearest() - stopped or set(self.members()) - stopped
            if not fresh:
                break
            for pid in fresh:
                send(os.kill, pid, signal.SIGSTOP)
            stopped |= fresh
        for pid in stopped:
            send(os.kill, pid, signal.SIGKILL)
        return stopped


def send(kill: "Callable[[int, int], None]", target: int, number: int) -> None:
    """A signal to what may have gone since, or may have become another user's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        kill(target, number)


# -- supervisor: one per job, between the agent and the job's first process -----------------------


class Place:
    """A claimed job's folder, open."""

    def __init__(self, name: str, folder: int, path: bytes) -> None:
        self.name = name
        self.folder = folder
        self.path = path


class Task:
    """What a supervisor starts, where, and on which GPUs; none given leaves them to the job."""

    def __init__(self, place: Place, spec: Spec, gpus: "list[str]") -> None:
        self.name = place.name
        self.folder = place.folder
        self.path = place.path
        self.spec = spec
        self.gpus = gpus

    def environment(self, cwd: bytes) -> "dict[bytes, bytes]":
        """The node's, then the job's own, then ours.

        The node's is read from the kernel: Python's copy may have LC_CTYPE added (PEP 538).
        """
        with open("/proc/self/environ", "rb") as file:
            given = [pair.partition(b"=") for pair in file.read().split(b"\0")]
        env = {name: value for name, equals, value in given if name and equals}
        env.update(self.spec.env)
        env[b"PWD"] = cwd
        env[b"CLBALANCE_JOB_DIR"] = self.path
        env[b"CLBALANCE_JOB_KEY"] = os.fsencode(self.name)
        if self.gpus:
            env[b"CUDA_VISIBLE_DEVICES"] = os.fsencode(",".join(self.gpus))
            env[b"CUDA_DEVICE_ORDER"] = b"PCI_BUS_ID"
        return env

    def program(self, env: "dict[bytes, bytes]") -> "tuple[Program, list[str]]":
        """What is to be executed, and warnings."""
        spec = self.spec
        if spec.script is not None:
            head = read_head("script", self.folder)
            program = script_program(self.path + b"/script", head, spec.script["name"], spec.words)
            return through_login_shell(login_entry()[1], program.argv) if spec.login else (program, [])
        if spec.login:
            return through_login_shell(login_entry()[1], spec.words)
        return find_program(spec.words, env.get(b"PATH", os.fsencode(os.defpath))), []

    def streams(self) -> "list[int]":
        """Descriptors for the job's 0, 1 and 2."""
        try:
            stdin = os.open("stdin", READ & ~os.O_NONBLOCK, dir_fd=self.folder)
        except FileNotFoundError:
            stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        flags = APPEND & ~os.O_NONBLOCK
        return [stdin] + [os.open(name, flags, dir_fd=self.folder) for name in ("stdout", "stderr")]


def fork_job(program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> int:
    """The pid of the job's first process, once it has become `program`; a `RefusedError` where it could not."""
    streams = task.streams()
    reader, writer = os.pipe()
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        failure = errno.EINVAL
        try:
            become_job(supervisor, prctl, streams, task.spec.umask)
            os.execve(program.path, program.argv, env)  # noqa: S606 - that is what a job is
        except OSError as error:
            failure = error.errno or failure
        finally:
            os.write(writer, b"%d" % failure)
            os._exit(127)
    for fd in [*streams, writer]:
        os.close(fd)
    answer = os.read(reader, 16)  # execve closes it
    os.close(reader)
    if answer:
        os.waitpid(pid, 0)
        raise program.refusal(OSError(int(answer), ""))
    return pid


def become_job(supervisor: int, prctl: Prctl, streams: "list[int]", umask: int) -> None:
    """Turn this fork into a process as a login would have made it; every other descriptor closes on exec."""
    os.setsid()
    prctl.die_with_parent(supervisor)
    signal.set_wakeup_fd(-1)
    for number in range(1, signal.NSIG):
        try:
            signal.signal(number, signal.SIG_DFL)
        except (OSError, ValueError):
            continue  # KILL, STOP and those that the C library keeps for itself
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(umask)
    for target, fd in enumerate(streams):
        os.dup2(fd, target)


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


class Supervisor:
    """Keeps one job: admits and starts it, obeys the agent, holds the time limit, ends what is left, records the end.

    With `adopting`, every orphan of the job becomes a child of this process: the job is over when there is no child
    left, which cannot be missed. Without, its session and its launch key must do, and are asked again and again.
    """

    def __init__(self, place: Place, prctl: Prctl, control: int, status: int) -> None:
        self.place = place
        self.prctl = prctl
        self.orders = Lines(control)
        self.early = []  # type: list[bytes | None]
        self.status = status
        self.adopting = prctl.adopt_orphans()
        self.tree = Tree(self.search, self.children)
        self.lease = None  # type: OwnLease | None
        self.grace_s = 0.0
        self.first = 0
        self.first_ended_at = None  # type: float | None
        self.childless = False
        self.usage = Usage()
        self.verdict = None  # type: dict[str, Any] | None
        self.kill_at = None  # type: float | None
        self.give_up_at = None  # type: float | None
        self.deadline = None  # type: float | None

    def run(self, work: "Spec | Admission") -> None:
        """A job that is given goes at once; one that must be admitted first is awaited under its lease."""
        self.wakes = wake_on_signals()
        try:
            spec = work if isinstance(work, Spec) else self.reserve(work)
            self.start(Task(self.place, spec, self.lease.gpus if self.lease is not None else []))
        except (RefusedError, OSError) as error:
            refusal = error if isinstance(error, RefusedError) else refusal_of(error)
            self.release()
            self.tell("refused", kind=refusal.kind, why=refusal.why, rc=refusal.rc)
            return
        self.obey(self.early)
        self.watch()
        self.record()

    def reserve(self, admission: "Admission") -> Spec:
        """Take a lease, and wait under it for what is to be started."""
        self.lease = admission.admit(self.orders.fd)
        self.tell("admitted", gpus=self.lease.gpus)
        self.await_start()
        with open(os.open("spec", READ, dir_fd=self.place.folder), "rb") as file:
            return Spec(json.loads(file.read().decode("ascii")))

    def await_start(self) -> None:
        """Until the start is ordered; what came with it waits in `early`. `keep` means that input still arrives."""
        until = time.monotonic() + reserve_s()
        poll = select.poll()
        poll.register(self.orders.fd, select.POLLIN)
        poll.register(self.wakes, select.POLLIN)
        while not self.early:
            left = until - time.monotonic()
            if left <= 0:
                raise RefusedError("expired", "was not started within %g s of its admission" % reserve_s())
            for fd, _ in poll.poll(min(left, LISTEN_LONGEST_S) * 1000 + 1):
                if fd == self.wakes:
                    if signal.SIGTERM in os.read(self.wakes, 4096):
                        raise RefusedError("cancelled", "the job's supervisor was told to stop")
                else:
                    self.early = [line for line in self.orders.receive() if b'"keep"' not in (line or b"")]
                    until = time.monotonic() + reserve_s()
                    if self.orders.closed:
                        raise RefusedError("cancelled", "the connection to the node ended")
        del self.early[0]

    def start(self, task: Task) -> None:
        cwd, warnings = enter_folder(task.spec)
        env = task.environment(cwd)
        program, more = task.program(env)
        self.first = fork_job(program, env, task, self.prctl)
        os.chdir("/")
        self.started_at = time.monotonic()
        self.grace_s = task.spec.grace_s
        if task.spec.time_limit_s is not None:
            self.deadline = self.started_at + task.spec.time_limit_s
        self.tell("started", pid=self.first, cwd=shown(cwd), warnings=warnings + more)

    def release(self) -> None:
        if self.lease is not None:
            self.lease.release()
            self.lease = None

    def tell(self, ev: str, **news: object) -> None:
        news["ev"] = ev
        with contextlib.suppress(BrokenPipeError):  # the agent has gone; what matters is on disk
            os.write(self.status, json.dumps(news).encode("ascii") + b"\n")

    def search(self, table: "dict[int, Process]") -> "set[int]":
        found = below(os.getpid(), table)
        if not self.adopting:
            found |= {pid for pid, process in table.items() if process.session == self.first}
            found |= carrying(os.fsencode(self.place.name), table)
        return found

    def children(self) -> "set[int]":
        """What a chain of processes that fork and die leads to, at once: every orphan is a child of this process."""
        self.reap()
        try:
            with open("/proc/self/task/%d/children" % os.getpid(), "rb") as file:
                return set(map(int, file.read().split()))
        except OSError:  # a kernel without CONFIG_PROC_CHILDREN
            return set()

    def watch(self) -> None:
        """Until nothing of the job is left, or nothing more can be done about it."""
        poll = select.poll()
        poll.register(self.orders.fd, select.POLLIN)
        poll.register(self.wakes, select.POLLIN)
        while True:
            self.reap()
            self.keep_time(time.monotonic())
            if self.is_over(time.monotonic()):
                return
            for fd, _ in poll.poll(self.patience_ms(time.monotonic())):
                if fd == self.wakes:
                    self.heed_signals()
                else:
                    self.obey(self.orders.receive())
                    if self.orders.closed:
                        poll.unregister(fd)

    def obey(self, lines: "list[bytes | None]") -> None:
        """Carry out the agent's orders. They end when the agent does, and a tied job with them."""
        for line in lines:
            order = json.loads((line or b"").decode("ascii"))
            if order["do"] == "signal":
                self.tree.signal(order["signal"], self.first)
            else:
                self.begin_end({"kind": "cancelled", "why": order["why"]}, order["grace_s"])
        if self.orders.closed:
            self.begin_end({"kind": "cancelled", "why": "the connection to the node ended"}, UNTIED_GRACE_S)

    def heed_signals(self) -> None:
        if signal.SIGTERM in os.read(self.wakes, 4096):
            self.begin_end({"kind": "cancelled", "why": "the job's supervisor was told to stop"}, UNTIED_GRACE_S)

    def reap(self) -> None:
        """Collect what has died: the first process gives the verdict, if none was spoken before."""
        while True:
            try:
                pid, status, spent = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self.childless = True
                return
            if pid == 0:
                self.childless = False
                return
            self.usage.add(spent)
            if pid == self.first:
                self.first_ended_at = time.monotonic()
                if self.verdict is None:
                    self.verdict = natural_end(status)

    def keep_time(self, now: float) -> None:
        """Do what has fallen due."""
        if self.kill_at is None:
            if self.first_ended_at is not None and not self.is_over(now):
                self.begin_end(self.verdict or {}, LEFTOVER_GRACE_S)
            elif self.deadline is not None and now >= self.deadline:
                self.begin_end({"kind": "timeout"}, self.grace_s)
        elif now >= self.kill_at:
            self.tree.kill()
            self.kill_at = now + KILL_AGAIN_S

    def begin_end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        """TERM to the whole tree, KILL after the grace. Said again, it can only become sooner."""
        kill_at = time.monotonic() + grace_s
        if self.kill_at is None:
            self.verdict = self.verdict or verdict
            self.tree.signal(signal.SIGTERM, self.first)
            self.tree.signal(signal.SIGCONT, self.first)  # who is stopped could not heed it
            self.kill_at = kill_at
            self.give_up_at = kill_at + KILL_PATIENCE_S
        elif self.give_up_at is not None and kill_at + KILL_PATIENCE_S < self.give_up_at:
            self.kill_at = min(self.kill_at, kill_at)
            self.give_up_at = kill_at + KILL_PATIENCE_S

    def is_over(self, now: float) -> bool:
        if self.give_up_at is not None and now >= self.give_up_at:
            return True
        if self.first_ended_at is None or not self.childless:
            return False
        return self.adopting or not self.tree.members()

    def patience_ms(self, now: float) -> "float | None":
        """How long there is nothing to do but listen."""
        due = self.deadline if self.kill_at is None else self.kill_at
        if due is not None and not self.adopting and self.first_ended_at is not None:
            due = min(due, now + KILL_AGAIN_S)
        return None if due is None else min(max(0.0, due - now), LISTEN_LONGEST_S) * 1000 + 1

    def record(self) -> None:
        """Keep the end on disk, give back what was promised, then tell it."""
        left = sorted(self.tree.members()) if not self.childless else []
        warnings = ["could not be killed: pid %s" % ", ".join(map(str, left[:16]))] if left else []
        seconds = (self.first_ended_at or time.monotonic()) - self.started_at
        end = {"end": self.verdict, "seconds": round(seconds, 6), "usage": self.usage.told()}  # type: dict[str, Any]
        try:
            keep_exit(self.place.folder, dict(end, warnings=warnings))
        except OSError as error:
            warnings.append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
        self.release()
        self.tell("ended", warnings=warnings, **end)


def natural_end(status: int) -> "dict[str, Any]":
    if os.WIFSIGNALED(status):
        return {"kind": "killed", "signal": os.WTERMSIG(status)}
    return {"kind": "exited", "rc": os.WEXITSTATUS(status)}


def wake_on_signals() -> int:
    """A descriptor on which every CHLD and TERM is one byte, its number."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    return reader


def leave_channel(keep: "set[int]") -> None:
    """Hold nothing of the agent's: an open copy of the channel, or of another job's tie, would keep it alive."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in keep:
            try:
                os.close(fd)
            except OSError:
                continue  # the listing's own


class Link:
    """The agent's ends of the pipes to one supervisor: orders go down, news come up, and closing it ends the job."""

    def __init__(self, control: int, status: int) -> None:
        os.set_blocking(control, False)
        self.control = control
        self.news = Lines(status)

    def order(self, do: str, **facts: object) -> None:
        facts["do"] = do
        with contextlib.suppress(BrokenPipeError):  # the job has just ended; the news of it are on their way
            os.write(self.control, json.dumps(facts).encode("ascii") + b"\n")

    def close(self) -> None:
        os.close(self.control)
        os.close(self.news.fd)


def spawn_supervisor(place: Place, work: "Spec | Admission", prctl: Prctl) -> Link:
    """A supervisor in a session of its own that no process of ours has to wait for."""
    control, control_writer = os.pipe()
    status_reader, status = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        for fd in (control, control_writer, status_reader, status):
            os.close(fd)
        raise
    if pid == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                leave_channel({control, status, place.folder, *([] if isinstance(work, Spec) else [work.home_fd])})
                Supervisor(place, prctl, control, status).run(work)
        finally:
            os._exit(0)
    os.close(control)
    os.close(status)
    os.waitpid(pid, 0)
    return Link(control_writer, status_reader)


# -- follower: a job's output, as fast as the client takes it -------------------------------------


class Stream:
    """One output file; `sent` and `acked` are offsets in it."""

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.sent = 0
        self.acked = 0


def open_output(folder: int, name: str) -> int:
    """A job's output; nothing at all where the job has removed it."""
    try:
        return os.open(name, READ, dir_fd=folder)
    except FileNotFoundError:
        return os.open(os.devnull, READ)


class Follower:
    """Passes a job's output on from its start, never more than `window` bytes of a stream ahead of the client."""

    def __init__(self, folder: int, window: int) -> None:
        self.window = window
        self.streams = [Stream(name, open_output(folder, name)) for name in ("stdout", "stderr")]
        self.pause_s = POLL_SHORTEST_S
        self.due = 0.0
        self.drained = False

    def close(self) -> None:
        for stream in self.streams:
            os.close(stream.fd)

    def acknowledge(self, name: str, offset: int) -> None:
        for stream in self.streams:
            if stream.name == name and stream.acked <= offset <= stream.sent:
                stream.acked = offset
                self.due = 0.0
                return
        raise MisfitError("ack: %.20r at %d is neither a stream nor was it sent" % (name, offset))

    def pump(self, channel: Channel, job: str, now: float) -> None:
        """One chunk of each stream that has one; `drained` tells that neither has more. Sets when to look again."""
        looked = [self.advance(stream, channel, job) for stream in self.streams]
        self.drained = looked == [0, 0]
        if any(looked):
            self.pause_s = POLL_SHORTEST_S
            self.due = now
        else:
            self.due = now + self.pause_s
            self.pause_s = min(self.pause_s * 1.5, POLL_LONGEST_S)

    def advance(self, stream: Stream, channel: Channel, job: str) -> "int | None":
        """How many bytes were passed on; None where the client must acknowledge first."""
        room = min(CHUNK_BYTES, stream.acked + self.window - stream.sent)
        if room <= 0:
            return None
        try:
            raw = os.pread(stream.fd, room, stream.sent)
        except OSError as error:
            self.give_up(stream, channel, job, error)
            return 0
        if raw:
            text = base64.b64encode(raw).decode("ascii")
            channel.say("output", job=job, stream=stream.name, offset=stream.sent, data=text)
            stream.sent += len(raw)
        return len(raw)

    def give_up(self, stream: Stream, channel: Channel, job: str, error: OSError) -> None:
        """Say once that the rest of a stream cannot be read, and read no more of it."""
        channel.say("error", why="%s: the rest of %s: %s" % (job, stream.name, os.strerror(error.errno or 0)))
        null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        os.dup2(null, stream.fd, inheritable=False)
        os.close(null)


# -- agent: requests to jobs, news of jobs to events ----------------------------------------------


class Job:
    """A claimed job: `link` while it has a supervisor, from its admission or its start on.

    `ended` once it has an end, `follower` while it is followed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files = {}  # type: dict[str, int]
        self.window = None  # type: int | None
        self.asked = False  # for admission
        self.admitted = False
        self.launched = False
        self.started_at = None  # type: float | None
        self.link = None  # type: Link | None
        self.follower = None  # type: Follower | None
        self.ended = None  # type: dict[str, Any] | None

    def stillborn(self) -> RefusedError:
        """Why its supervisor is gone before the start. One that hangs at admission is ended by the kernel's clock."""
        if self.asked and not self.admitted:
            return RefusedError("lock", "its supervisor died at admission, for which it has %g s" % ADMIT_WITHIN_S)
        return RefusedError("resources", "its supervisor died before it could start")

    def hang_up(self) -> None:
        """Let go of the supervisor and the files; a job that still runs ends by it."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.follower is not None:
            self.follower.close()
            self.follower = None


class Agent:
    """Serves one client until it goes away."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        self.channel = channel
        self.base = base
        self.loaded = None  # type: Prctl | None
        self.jobs_folder = None  # type: JobsFolder | None
        self.jobs = {}  # type: dict[str, Job]
        self.refused = set()  # type: set[str]
        self.ops = {
            "claim": self.claim,
            "admit": self.admit,
            "put": self.put,
            "start": self.start,
            "follow": self.follow,
            "ack": self.ack,
            "signal": self.signal,
            "end": self.end,
            "forget": self.forget,
            "drain": self.drain,
            "resume": self.resume,
        }

    def serve(self) -> None:
        """Every tied job ends with this process."""
        while not self.channel.over:
            self.listen()
            self.pump()
            self.channel.flush()
            self.load_prctl()
        for job in self.jobs.values():
            if not job.launched:
                self.clear(job.name)

    def load_prctl(self) -> Prctl:
        """What supervisors need; ctypes takes 2 ms, which are best spent while the client reads an answer."""
        if self.loaded is None:
            self.loaded = Prctl()
        return self.loaded

    @property
    def folder(self) -> JobsFolder:
        if self.jobs_folder is None:
            self.jobs_folder = JobsFolder(self.base)
        return self.jobs_folder

    # What comes in

    def listen(self) -> None:
        """Wait for the client, the supervisors or the next look at a followed file, and take what has come."""
        channel = self.channel
        poll = select.poll()
        if not channel.congested:
            poll.register(channel.requests.fd, select.POLLIN)
        poll.register(channel.out_fd, select.POLLOUT if channel.unsent else 0)
        linked = {job.link.news.fd: job for job in self.jobs.values() if job.link is not None}
        for fd in linked:
            poll.register(fd, select.POLLIN)
        for fd, events in poll.poll(self.patience_ms()):
            if fd == channel.requests.fd:
                for line in channel.requests.receive():
                    self.answer(line)
            elif fd == channel.out_fd:
                channel.broken = channel.broken or bool(events & ~select.POLLOUT)
            else:
                self.hear(linked[fd])

    def patience_ms(self) -> "float | None":
        due = [job.follower.due for job in self.jobs.values() if job.follower is not None]
        if not due or self.channel.congested:
            return None
        return max(0.0, min(due) - time.monotonic()) * 1000

    def answer(self, line: "bytes | None") -> None:
        """Carry out one request; whatever is wrong with it becomes an event."""
        name = ""
        try:
            request = parse_request(line)
            name = request.get("job", "")
            if request["op"] == "claim" or name not in self.refused:
                self.ops[request["op"]](request)
        except MisfitError as misfit:
            self.channel.say("error", why=str(misfit))
        except RefusedError as refusal:
            if name:
                self.refuse(name, refusal)
            else:
                self.channel.say("error", why=refusal.why)
        except OSError as error:
            if not name or (name in self.jobs and self.jobs[name].launched):
                self.channel.say("error", why="%s: %s" % (name or "node folder", os.strerror(error.errno or 0)))
            else:
                self.refuse(name, refusal_of(error))

    def hear(self, job: Job) -> None:
        """Take a supervisor's news."""
        if job.link is None:
            return
        for line in job.link.news.receive():
            news = json.loads((line or b"").decode("ascii"))
            ev = news.pop("ev")
            if ev == "started":
                job.started_at = time.monotonic()
                self.channel.say(ev, job=job.name, **news)
            elif ev == "admitted":
                job.admitted = True
                self.channel.say(ev, job=job.name, **news)
            elif ev == "ended":
                self.conclude(job, news)
            else:
                self.refuse(job.name, RefusedError(**news))
            if job.link is None:
                return
        if job.link.news.closed:
            self.lose(job)

    # What is asked for

    def known(self, request: "dict[str, Any]") -> Job:
        job = self.jobs.get(request["job"])
        if job is None:
            raise MisfitError("%s: %s was not claimed here" % (request["op"], request["job"]))
        return job

    def unlaunched(self, request: "dict[str, Any]") -> Job:
        job = self.known(request)
        if job.launched:
            raise MisfitError("%s: %s was started before" % (request["op"], job.name))
        return job

    def claim(self, request: "dict[str, Any]") -> None:
        name = request["job"]
        if name in self.jobs:
            raise MisfitError("claim: %s was claimed here before" % name)
        self.folder.claim(name)
        self.refused.discard(name)
        self.jobs[name] = Job(name)
        self.channel.say("claimed", job=name)

    def admit(self, request: "dict[str, Any]") -> None:
        job = self.unlaunched(request)
        if job.link is not None:
            raise MisfitError("admit: %s asked for that before" % job.name)
        wish = Wish(request["lease"], request["capacity"])
        job.asked = True
        self.supervise(job, Admission(job.name, wish, self.base, self.folder.home_fd))

    def supervise(self, job: Job, work: "Spec | Admission") -> None:
        """Give a job its supervisor."""
        folder = self.folder.open(job.name)
        try:
            job.link = spawn_supervisor(Place(job.name, folder, self.folder.path(job.name)), work, self.load_prctl())
        finally:
            os.close(folder)

    def put(self, request: "dict[str, Any]") -> None:
        job = self.unlaunched(request)
        file = request["file"]
        if file not in ("script", "stdin"):
            raise MisfitError("put: `file` must be script or stdin, not %.40r" % file)
        try:
            content = base64.b64decode(request["data"], validate=True)
        except (binascii.Error, ValueError):  # ValueError: not ASCII
            raise RefusedError("spec", "put: what was sent for %s is not base64" % file) from None
        self.folder.write(job.name, {file: content}, APPEND if file in job.files else WRITE_NEW)
        job.files[file] = job.files.get(file, 0) + len(content)
        if job.link is not None:
            job.link.order("keep")
        self.channel.say("stored", job=job.name, file=file, size=job.files[file])

    def start(self, request: "dict[str, Any]") -> None:
        job = self.unlaunched(request)
        spec = Spec(request["spec"])
        if spec.script is not None and "script" not in job.files:
            raise RefusedError("spec", "`script` was asked for, but nothing was put there")
        kept = json.dumps(request["spec"], indent=1).encode("ascii")
        files = {"spec": kept, "exit.tmp": b" " * EXIT_BYTES, "stdout": b"", "stderr": b""}
        self.folder.write(job.name, files)
        if job.link is None:
            self.supervise(job, spec)
        else:
            job.link.order("start")  # its supervisor reads the spec from where it was put just now
        job.launched = True
        self.attach(job)

    def follow(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if not 0 < request["window"] <= 1 << 30:
            raise MisfitError("follow: `window` must lie between 1 and 2^30 bytes, not %d" % request["window"])
        job.window = request["window"]
        self.attach(job)

    def attach(self, job: Job) -> None:
        """Follow from the start of the output what was both started and asked for."""
        if job.window is None or not job.launched:
            return
        if job.follower is not None:
            job.follower.close()
            job.follower = None
        folder = self.folder.open(job.name)
        try:
            job.follower = Follower(folder, job.window)
        finally:
            os.close(folder)

    def ack(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if job.follower is not None:
            job.follower.acknowledge(request["stream"], request["offset"])

    def signal(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if not 0 < request["signal"] < signal.NSIG:
            raise MisfitError("signal: there is no signal %d" % request["signal"])
        if not job.launched:
            raise MisfitError("signal: %s was not started" % job.name)
        if job.link is not None:
            job.link.order("signal", signal=request["signal"])

    def end(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        why = request["why"][:300]
        if not job.launched:
            raise RefusedError("cancelled", why)
        if job.link is not None:
            job.link.order("end", grace_s=request["grace_s"], why=why)

    def forget(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if job.ended is None:
            raise MisfitError("forget: %s has not ended" % job.name)
        job.hang_up()
        self.clear(job.name)
        del self.jobs[job.name]

    def drain(self, request: "dict[str, Any]") -> None:
        """Put this user's mark on the node, or another one in its place."""
        facts = {"v": 1, "at": time.time()}
        facts.update((field, request[field]) for field in ("reason", "by", "until"))
        mark = mark_text(facts)
        if len(mark) > MARK_BYTES:
            raise MisfitError("drain: a mark of more than %d bytes; make `reason` shorter" % MARK_BYTES)
        put_mark(self.folder.home_fd, "drain", mark)
        self.channel.say("drained", path=shown(self.folder.home + b"/drain"))

    def resume(self, request: "dict[str, Any]") -> None:
        """Take this user's mark away."""
        try:
            os.unlink("drain", dir_fd=self.folder.home_fd)
        except FileNotFoundError:
            self.channel.say("resumed", was=False)
        else:
            self.channel.say("resumed", was=True)

    # What becomes of jobs

    def refuse(self, name: str, refusal: RefusedError) -> None:
        """Tell why a job does not run, and leave no half of it: of a claim that was ours, only the folder stays."""
        job = self.jobs.pop(name, None)
        if job is not None:
            job.hang_up()
            self.clear(name)
        self.refused.add(name)
        self.channel.say("refused", job=name, kind=refusal.kind, why=refusal.why, rc=refusal.rc)

    def clear(self, name: str) -> None:
        """Leave the tombstone of a claim alone."""
        try:
            self.folder.clear(name)
        except OSError as error:
            self.channel.say("error", why="%s: not cleared: %s" % (name, os.strerror(error.errno or 0)))

    def conclude(self, job: Job, ended: "dict[str, Any]") -> None:
        """The job is over; who follows it is told, once all that it wrote has been passed on."""
        job.ended = ended
        if job.link is not None:
            job.link.close()
            job.link = None
        if job.follower is not None:
            job.follower.due = 0.0

    def lose(self, job: Job) -> None:
        """The supervisor died without a word, its job's first process with it; end what carries the job's key."""
        if job.started_at is None:
            self.refuse(job.name, job.stillborn())
            return
        tree = Tree(lambda table: carrying(os.fsencode(job.name), table))
        until = time.monotonic() + KILL_PATIENCE_S
        while tree.kill() and time.monotonic() < until:
            time.sleep(KILL_AGAIN_S)
        seconds = round(time.monotonic() - job.started_at, 6)
        warnings = ["the job's supervisor died, which killed the job"]
        end = {"kind": "killed", "signal": int(signal.SIGKILL)}
        ended = {"end": end, "seconds": seconds, "usage": None, "warnings": warnings}  # type: dict[str, Any]
        folder = self.folder.open(job.name)
        try:
            keep_exit(folder, ended)
        except OSError as error:
            warnings.append("the record of the end was not kept: %s" % os.strerror(error.errno or 0))
        finally:
            os.close(folder)
        self.conclude(job, ended)

    def pump(self) -> None:
        """Pass on the output that has fallen due, and the end of each job whose output has all been passed on."""
        now = time.monotonic()
        for job in self.jobs.values():
            follower = job.follower
            if follower is None or follower.due > now or self.channel.congested:
                continue
            follower.pump(self.channel, job.name, now)
            if job.ended is not None and follower.drained:
                follower.close()
                job.follower = None
                self.channel.say("ended", job=job.name, **job.ended)


if __name__ == "__main__":
    Agent(CHANNEL, BASE).serve()
