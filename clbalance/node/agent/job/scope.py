"""A cgroup for a job, made by the user's own systemd, if it runs: `systemd-run --user --scope`."""

import os
import re
import select
import sys
import time

from clbalance.node.agent.job.fork import fork_job
from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.protocol import READ, SCOPE_WITHIN_S, RefusedError, shown
from clbalance.node.agent.tree import Prctl, send
from clbalance.node.stdlib import signal, suppress

MYPY = False
if MYPY:
    from typing import Any

# The first program in the scope. It reports its cgroup, waits, and then becomes the job. So if the scope fails, nothing
# of the job has run, and a program that cannot be executed is refused as without a scope. The job's words come through
# a pipe: arguments of systemd-run can be seen by all users, and go to the log of the user's systemd. The environment is
# read from the kernel: Python's copy may have LC_CTYPE added (PEP 538).
SCOPE_ENTRY = """
import os, signal, sys
report, go, stderr = map(int, sys.argv[1:4])
with open("/proc/self/cgroup", "rb") as file:
    cgroups = [line[3:] for line in file.read().split(b"\\n") if line.startswith(b"0::")]
os.write(report, (cgroups[0] if cgroups else b"") + b"\\n")
sent = b"".join(iter(lambda: os.read(go, 65536), b""))
count, _, rest = sent.partition(b"\\n")
*words, _ = rest.split(b"\\0")
if count == b"%d" % len(words):
    os.dup2(stderr, 2)
    for fd in (report, go, stderr):
        os.set_inheritable(fd, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    with open("/proc/self/environ", "rb") as file:
        pairs = [pair.partition(b"=") for pair in file.read().split(b"\\0")]
    try:
        os.execve(words[0], words[1:], {name: value for name, equals, value in pairs if name and equals})
    except OSError as error:
        os.write(report, b"%d" % error.errno)
os._exit(127)
"""


class NoScopeError(Exception):
    """There is no scope, and nothing of the job has run. The text says why."""


def system_root() -> str:
    """The prefix of system paths; empty except in tests."""
    return os.environ.get("CLBALANCE_ROOTFS") or ""


def find_systemd_run(tied: bool) -> bytes:
    """The path of systemd-run, or a `NoScopeError`.

    A user's systemd ends with the user's last login unless the user lingers. A tied job ends before that.
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
    """A scope with these limits (None: no limit). `first` is the pid of the job's first process."""

    def __init__(self, systemd_run: bytes, name: str, mem_bytes: "int | None", cpus: "float | None") -> None:
        self.command = [systemd_run, b"--user", b"--scope", b"--quiet", b"--collect"]
        self.command.append(b"--unit=clbalance-" + os.fsencode(name).replace(b".", b"-"))
        if mem_bytes is not None:
            # Without the swap limit, memory above the limit would be swapped out.
            self.command += [b"-p", b"MemoryMax=%d" % mem_bytes, b"-p", b"MemorySwapMax=0"]
        if cpus is not None:
            self.command += [b"-p", b"CPUQuota=%d%%" % max(1, round(cpus * 100))]
        self.mem_bytes = mem_bytes
        self.cpus = cpus
        self.folder = ""
        self.first = 0

    def start(self, program: Program, env: "dict[bytes, bytes]", task: Task, prctl: Prctl) -> None:
        """Start the job. `NoScopeError` if there is no scope in time, `RefusedError` if the program fails to start."""
        report, report_writer = os.pipe()
        go, fd = os.pipe()
        go_writer = os.fdopen(fd, "wb", 0)
        words, words_writer = os.pipe()
        entering = EnteringTask(task, words_writer, [report_writer, go])
        entry = [os.fsencode(sys.executable), b"-I", b"-S", b"-c", SCOPE_ENTRY.encode("ascii")]
        entry += [b"%d" % fd for fd in (report_writer, go, entering.stderr)]
        env = dict(env)
        env.setdefault(b"XDG_RUNTIME_DIR", os.fsencode(runtime_folder(system_root())))
        try:
            self.first = self.fork(Program(self.command[0], [*self.command, b"--", *entry]), env, entering, prctl)
            self.folder = self.await_entry(report, words)
            rest = entry_words([program.path, *program.argv])
            while rest:
                rest = rest[go_writer.write(rest) :]
            go_writer.close()
            answer = os.read(report, 16)  # execve closes it
        finally:
            go_writer.close()
            for fd in (report, words):
                os.close(fd)
        if answer:
            os.waitpid(self.first, 0)
            raise program.refusal(OSError(int(answer), ""))

    @staticmethod
    def fork(program: Program, env: "dict[bytes, bytes]", entering: "EnteringTask", prctl: Prctl) -> int:
        try:
            return fork_job(program, env, entering, prctl)
        except RefusedError as error:
            raise NoScopeError(error.reason) from None
        finally:
            entering.close()

    def await_entry(self, report: int, words: int) -> str:
        """Wait for the report from inside the scope. The folder of its cgroup, or a `NoScopeError`."""
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
        """Whether its cgroup has the limit. A systemd without the memory controller starts scopes without it."""
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


def entry_words(words: "list[bytes]") -> bytes:
    """The words as the first program in the scope reads them. They are executed only if all of them have come."""
    return b"%d\n" % len(words) + b"".join(word + b"\0" for word in words)


class EnteringTask(Task):
    """A task whose stderr is kept aside until it is in the scope, so that it does not get systemd-run's messages."""

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
    """The message of systemd-run, in one line; empty if there is none."""
    with suppress(OSError):
        said = shown(os.read(words, 400)).split()
        return "systemd-run: " + " ".join(said)[:160] if said else ""
    return ""


class ScopeMemory:
    """A memory limit that the kernel enforces by killing processes. Its kills are counted in the cgroup.

    Their file is opened at the start, because the cgroup vanishes soon after its last process.
    """

    due: "float | None" = None

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
        """None: the kernel enforces the limit."""
        del now
        return None

    def verdict(self, used_bytes: int) -> "dict[str, Any]":
        del used_bytes
        return {"kind": "out_of_memory", "limit_bytes": self.limit_bytes, "used_bytes": None}

    def end_of(self, natural: "dict[str, Any]") -> "dict[str, Any]":
        """`out_of_memory` if the kernel killed a process and the job failed. A job that exits with 0 succeeded."""
        failed = natural != {"kind": "exited", "rc": 0}
        return self.verdict(0) if failed and self.kills() else natural
