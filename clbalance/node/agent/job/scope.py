"""A cgroup of its own for a job, by the user's own systemd, where there is one: `systemd-run --user --scope`."""

import contextlib
import os
import re
import select
import signal
import sys
import time

from clbalance.node.agent.job.fork import fork_job
from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.protocol import READ, SCOPE_WITHIN_S, RefusedError, shown
from clbalance.node.agent.tree import Prctl, send

MYPY = False
if MYPY:
    from typing import Any

# What runs in the scope first: it tells where it is, and becomes the job when it is told to. So a scope that did not
# come about has run nothing of the job, and what cannot be executed is refused as without a scope. The environment is
# read from the kernel: Python's copy may have LC_CTYPE added (PEP 538).
SCOPE_DOOR = """
import os, signal, sys
report, go, stderr = map(int, sys.argv[1:4])
with open("/proc/self/cgroup", "rb") as file:
    places = [line[3:] for line in file.read().split(b"\\n") if line.startswith(b"0::")]
os.write(report, (places[0] if places else b"") + b"\\n")
if os.read(go, 1):
    os.dup2(stderr, 2)
    for fd in (report, go, stderr):
        os.set_inheritable(fd, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as file:
        pairs = [pair.partition(b"=") for pair in file.read().split(b"\\0")]
    words = [os.fsencode(word) for word in sys.argv[4:]]
    try:
        os.execve(words[0], words[1:], {name: value for name, equals, value in pairs if name and equals})
    except OSError as error:
        os.write(report, b"%d" % error.errno)
os._exit(127)
"""


class NoScopeError(Exception):
    """Why there is none; nothing of the job has run."""


def system_root() -> str:
    """Empty but in tests."""
    return os.environ.get("CLBALANCE_ROOTFS") or ""


def find_systemd_run(tied: bool) -> bytes:
    """Its path, or a `NoScopeError`.

    What runs under a user's systemd ends with his last login, unless he lingers; what is tied ends before.
    """
    root = system_root()
    if not os.path.isdir(root + "/run/systemd/system"):
        raise NoScopeError("systemd does not run there")
    folders = os.environb.get(b"PATH", os.fsencode(os.defpath)).split(b":")
    found = [path for path in (folder + b"/systemd-run" for folder in folders) if os.access(path, os.X_OK)]
    if not found:
        raise NoScopeError("there is no systemd-run")
    if not tied and not is_lingering(root):
        raise NoScopeError("you do not linger there (`loginctl enable-linger`)")
    if not os.path.exists(runtime_folder(root) + "/systemd/private"):
        raise NoScopeError("your own systemd does not run there")
    return found[0]


def is_lingering(root: str) -> bool:
    import pwd

    try:
        return os.path.exists("%s/var/lib/systemd/linger/%s" % (root, pwd.getpwuid(os.geteuid()).pw_name))
    except KeyError:
        return False


def runtime_folder(root: str) -> str:
    return os.environ.get("XDG_RUNTIME_DIR") or "%s/run/user/%d" % (root, os.geteuid())


class Scope:
    """A scope with these limits, None where there is none; `first` is the pid that becomes the job's first process."""

    def __init__(self, systemd_run: bytes, name: str, mem_bytes: "int | None", cpus: "float | None") -> None:
        self.command = [systemd_run, b"--user", b"--scope", b"--quiet", b"--collect"]
        self.command.append(b"--unit=clbalance-" + os.fsencode(name).replace(b".", b"-"))
        if mem_bytes is not None:
            # Without the second, what is too much would be swapped out.
            self.command += [b"-p", b"MemoryMax=%d" % mem_bytes, b"-p", b"MemorySwapMax=0"]
        if cpus is not None:
            self.command += [b"-p", b"CPUQuota=%d%%" % max(1, round(cpus * 100))]
        self.mem_bytes = mem_bytes
        self.cpus = cpus
        self.folder = ""
        self.first = 0

    def start(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> None:
        """A `NoScopeError` where it does not come about in time, a `RefusedError` where the program cannot run."""
        report, report_writer = os.pipe()
        go, go_writer = os.pipe()
        words, words_writer = os.pipe()
        behind = BehindDoor(task, words_writer, [report_writer, go])
        door = [os.fsencode(sys.executable), b"-I", b"-S", b"-c", SCOPE_DOOR.encode("ascii")]
        door += [b"%d" % fd for fd in (report_writer, go, behind.stderr)] + [program.path, *program.argv]
        env = dict(env)
        env.setdefault(b"XDG_RUNTIME_DIR", os.fsencode(runtime_folder(system_root())))
        try:
            self.first = self.knock(Program(self.command[0], [*self.command, b"--", *door]), env, behind, prctl)
            self.folder = self.arrive(report, words)
            os.write(go_writer, b"g")
            answer = os.read(report, 16)  # execve closes it
        finally:
            for fd in (report, go_writer, words):
                os.close(fd)
        if answer:
            os.waitpid(self.first, 0)
            raise program.refusal(OSError(int(answer), ""))

    @staticmethod
    def knock(program: Program, env: "dict[bytes, bytes]", behind: "BehindDoor", prctl: Prctl) -> int:
        try:
            return fork_job(program, env, behind, prctl)
        except RefusedError as error:
            raise NoScopeError(error.reason) from None
        finally:
            behind.close()

    def arrive(self, report: int, words: int) -> str:
        """The folder of its cgroup."""
        told = b""
        poll = select.poll()
        poll.register(report, select.POLLIN)
        until = time.monotonic() + SCOPE_WITHIN_S
        while b"\n" not in told:
            left = until - time.monotonic()
            piece = os.read(report, 4096) if left > 0 and poll.poll(left * 1000) else b""
            if not piece:
                send(os.kill, self.first, signal.SIGKILL)
                os.waitpid(self.first, 0)
                os.set_blocking(words, False)
                raise NoScopeError(complaint(words) or "systemd-run did not answer within %g s" % SCOPE_WITHIN_S)
            told += piece
        place = told.partition(b"\n")[0].decode("utf-8", "surrogateescape")
        return "%s/sys/fs/cgroup%s" % (system_root(), place) if place else ""

    def keeps_memory(self) -> bool:
        """Whether its cgroup has the limit: a systemd that was not given the controller asks for it and goes on."""
        message = self.read("memory.max")
        return self.mem_bytes is not None and message.isdigit() and int(message) <= self.mem_bytes

    def keeps_cpus(self) -> bool:
        quota = re.fullmatch(r"([0-9]+) ([1-9][0-9]*)", self.read("cpu.max"))
        if self.cpus is None or quota is None:
            return False
        return int(quota.group(1)) <= self.cpus * int(quota.group(2)) + 1000

    def read(self, name: str) -> str:
        try:
            with open("%s/%s" % (self.folder, name), "rb") as file:
                return file.read(4096).decode("ascii", "replace").strip()
        except OSError:
            return ""


class BehindDoor(Task):
    """A task whose stderr is kept aside until it has come through the door: systemd-run's words are not its own."""

    def __init__(self, task: Task, words: int, passed: "list[int]") -> None:
        self.spec = task.spec
        self.folder = task.folder
        stdin, stdout, self.stderr = task.streams()
        self.first_streams = [stdin, stdout, words]
        self.passed = [*passed, self.stderr]
        for fd in self.passed:
            os.set_inheritable(fd, True)

    def streams(self) -> "list[int]":
        return self.first_streams

    def close(self) -> None:
        for fd in self.passed:
            os.close(fd)


def complaint(words: int) -> str:
    """What systemd-run has said, in one line."""
    with contextlib.suppress(OSError):
        said = shown(os.read(words, 400)).split()
        return "systemd-run: " + " ".join(said)[:160] if said else ""
    return ""


class ScopeMemory:
    """A limit that the kernel keeps. It kills one process and then another: that it did so is read from the cgroup.

    The file is open before: the cgroup goes soon after its last process.
    """

    due = None

    def __init__(self, limit_bytes: int, folder: str) -> None:
        self.limit_bytes = limit_bytes
        try:
            self.events = os.open(folder + "/memory.events", READ)
        except OSError:
            self.events = -1

    def kills(self) -> int:
        try:
            text = os.pread(self.events, 4096, 0)
        except OSError:
            return 0
        found = re.search(rb"^oom_kill ([0-9]+)$", text, re.MULTILINE)
        return int(found.group(1)) if found else 0

    def look(self, now: float) -> "int | None":
        """Nothing to be done about it."""
        del now
        return None

    def verdict(self, used_bytes: int) -> "dict[str, Any]":
        del used_bytes
        return {"kind": "out_of_memory", "limit_bytes": self.limit_bytes, "used_bytes": None}

    def end_of(self, natural: "dict[str, Any]") -> "dict[str, Any]":
        """A job that does well without a process that was killed has done well."""
        failed = natural != {"kind": "exited", "rc": 0}
        return self.verdict(0) if failed and self.kills() else natural
