"""The work of a supervisor: the job's folder, environment, program and streams, and the GPUs that it sees."""

import os

from clbalance.node.agent.job.outcome import decide_fate
from clbalance.node.agent.job.program import (
    Program,
    Spec,
    find_program,
    login_entry,
    names_no_shell,
    read_head,
    script_program,
    shebang,
    through_login_shell,
)
from clbalance.node.agent.lease.admission import OwnLease
from clbalance.node.agent.protocol import APPEND, FOLDER, READ


class Place:
    """A claimed job's folder, open; `jobs` is the folder around it."""

    def __init__(self, name: str, jobs: int, folder: int, path: bytes) -> None:
        self.name = name
        self.jobs = jobs
        self.folder = folder
        self.path = path

    def restore(self) -> None:
        """Make the folder again after the job removed it: without it the job would seem never to have started."""
        os.mkdir(self.name, 0o700, dir_fd=self.jobs)
        self.folder = os.open(self.name, FOLDER, dir_fd=self.jobs)
        decide_fate(self.folder, "started")


class Task:
    """What a supervisor starts, where, and on which GPUs."""

    def __init__(self, place: Place, spec: Spec, lease: OwnLease) -> None:
        self.name = place.name
        self.folder = place.folder
        self.path = place.path
        self.spec = spec
        self.gpus = lease.gpus
        self.gpu_share = lease.gpu_share
        self.visible = lease.visible
        self.warnings: "list[str]" = []
        self.limits = lease.limits

    def environment(self, cwd: bytes) -> "dict[bytes, bytes]":
        """The environment of the node, overridden by the job's, overridden by ours.

        The node's is read from the kernel: Python's copy may have LC_CTYPE added (PEP 538).
        """
        with open("/proc/self/environ", "rb") as file:
            given = [pair.partition(b"=") for pair in file.read().split(b"\0")]
        env = {name: value for name, equals, value in given if name and equals}
        env.update(self.spec.env)
        env[b"PWD"] = cwd
        env[b"CLBALANCE_JOB_DIR"] = self.path
        env[b"CLBALANCE_JOB_KEY"] = os.fsencode(self.name)
        if self.spec.hosts:
            env[b"CLBALANCE_HOSTFILE"] = self.path + b"/hosts"
        if self.gpus or self.visible is not None:
            self.show_gpus(env)
        return env

    def show_gpus(self, env: "dict[bytes, bytes]") -> None:
        from clbalance.node.agent.job.devices import CHOSEN, show_devices

        if self.gpus:
            show_devices(env, self.gpus)
            env[b"CLBALANCE_GPU_SHARE"] = b"%g" % self.gpu_share
        elif self.visible is not None and not any(name in env for name in CHOSEN):
            shown = [gpu for gpu, is_shown in self.visible.items() if is_shown]
            show_devices(env, shown, self.visible)
            if not shown:
                self.warnings.append("the job sees no GPU: all are leased or used by others")

    def program(self, env: "dict[bytes, bytes]") -> "tuple[Program, list[str]]":
        """The program to execute, and warnings. May raise `RefusedError`."""
        spec = self.spec
        if spec.script is not None:
            head = read_head("script", self.folder)
            program = script_program(self.path + b"/script", head, spec.script["name"], spec.words)
            if not spec.login:
                return program, []
            return through_login_shell(login_entry()[1], program.argv, any_shell=not shebang(head))
        if spec.login:
            return through_login_shell(login_entry()[1], spec.words, any_shell=names_no_shell(spec.words))
        return find_program(spec.words, env.get(b"PATH", os.fsencode(os.defpath))), []

    def streams(self) -> "list[int]":
        """Descriptors for the job's 0, 1 and 2."""
        try:
            stdin = os.open("stdin", READ & ~os.O_NONBLOCK, dir_fd=self.folder)
        except FileNotFoundError:
            stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        flags = APPEND & ~os.O_NONBLOCK
        return [stdin] + [os.open(name, flags, dir_fd=self.folder) for name in ("stdout", "stderr")]
