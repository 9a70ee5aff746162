"""The supervisor of a slot: it runs many small tasks, one after the other, under one lease (docs/design/tasks.md)."""

import os
import time

from clbalance.node.agent.fields import Count, encoded, is_a
from clbalance.node.agent.job.fork import fork_job, spawn_job
from clbalance.node.agent.job.life import Life
from clbalance.node.agent.job.program import Program
from clbalance.node.agent.job.supervisor import Supervisor
from clbalance.node.agent.job.task import Task
from clbalance.node.agent.lease import locks  # noqa: F401 - a slot meets the leases of others: loaded once for all
from clbalance.node.agent.protocol import (
    APPEND,
    LOG_TOLD_EVERY_S,
    READ,
    Lines,
    MisfitError,
    RefusedError,
    fail_point,
    refusal_of,
)
from clbalance.node.stdlib import dumps, loads, suppress

MYPY = False
if MYPY:
    from typing import Any


class Slot(Supervisor):
    """Runs the tasks in `queue`, in order, until it is told that no more come or its agent is gone.

    `log` has one JSON list a line: `["s", n]` before task n is started; `["e", n, end, seconds,
    stdout, stderr]` after its last process has ended, with the sizes of both files, which say which output belongs to
    the task; `["b", n]` for a task that is given back unstarted; `["z"]` at the end.
    """

    def launch(self, program: Program, env: "dict[bytes, bytes]", task: Task) -> None:
        self.confinement.bind()  # inherited by the tasks
        self.program = program
        self.env = env
        self.task = task
        self.log = os.open("log", APPEND & ~os.O_NONBLOCK, dir_fd=self.place.folder)
        self.queue = Lines(os.open("queue", READ, dir_fd=self.place.folder))
        self.sizes = [os.open(name, READ, dir_fd=self.place.folder) for name in ("stdout", "stderr")]
        self.taken: "list[tuple[int, list[bytes]]]" = []
        self.no_more = False
        self.stopped: "dict[str, Any] | None" = None
        self.warnings: "list[str]" = []
        self.told_at = 0.0
        self.life.begin(os.getpid(), 0.0, None)

    def work(self) -> None:
        """Run tasks, and wait for more, until the end."""
        began = time.monotonic()
        rc = 0
        try:
            while self.stopped is None:
                if self.taken or self.take():
                    self.run_task(*self.taken.pop(0))
                elif self.no_more:
                    break
                else:
                    self.tell_of_log(at_once=True)
                    self.listen(None)
            self.write_log([["b", number] for number, _ in [*self.taken, *self.queued()]] + [["z"]])
        except OSError as error:
            rc = 1
            self.warnings.append("the log of tasks: %s" % os.strerror(error.errno or 0))
        self.tell_of_log(at_once=True)
        end = self.stopped or {"kind": "exited", "rc": rc}
        seconds = round(time.monotonic() - began, 6)
        self.record({"end": end, "seconds": seconds, "usage": self.usage.to_fields()}, self.warnings)

    def take(self) -> bool:
        """Take the queued tasks; False if there are none. The log names them before any of them runs.

        It is not synced: until this slot has an end, its log matters only in the same boot.
        """
        self.taken.extend(self.queued())
        if not self.taken:
            return False
        self.write_log([["s", number] for number, _ in self.taken])
        fail_point("logged")
        return True

    def queued(self) -> "list[tuple[int, list[bytes]]]":
        """The tasks that were appended to the queue since the last call."""
        lines = self.queue.receive()
        while not self.queue.closed:  # until the present end of the file
            lines += self.queue.receive()
        tasks = [parse_task(line) for line in lines]
        return [task for task in tasks if task is not None]

    def run_task(self, number: int, words: "list[bytes]") -> None:
        """Run one task, from its start to the end of its last process."""
        spec = self.task.spec
        env = dict(self.env)
        env[b"CLBALANCE_TASK_ID"] = b"%d" % number
        program = Program(self.program.path, self.program.argv + words, self.program.interprets)
        life = Life(self.place.name, self.adopting, self.usage)
        self.life = life
        life.memory = self.confinement.memory(life.tree.members)
        began = time.monotonic()
        try:
            self.enter_own_folder(number, env)
            life.begin(self.first_process(program, env), spec.grace_s, spec.time_limit_s)
        except (RefusedError, OSError) as error:
            refusal = error if isinstance(error, RefusedError) else refusal_of(error)
            self.complain(refusal.reason)
            end: "dict[str, Any]" = {"kind": "exited", "rc": 126 if refusal.rc is None else refusal.rc}
        else:
            fail_point("task")
            self.wait_for_end(life)
            end = life.verdict or {}
            self.warnings += life.survivors()
        ended_at = life.first_ended_at or time.monotonic()
        sizes = [os.fstat(fd).st_size for fd in self.sizes]
        self.write_log([["e", number, end, round(ended_at - began, 6), *sizes]])
        self.tell_of_log(at_once=not self.taken)

    def enter_own_folder(self, number: int, env: "dict[bytes, bytes]") -> None:
        """Make the folder of a task whose job has files, with links to those that all tasks share. Run it there.

        If the user has named another folder, run it in that one.
        """
        work = self.task.path + b"/work"
        if os.path.isdir(work):
            own, shared = work + b"/%d" % number, env.get(b"CLBALANCE_INPUT_DIR", b"")
            os.makedirs(own, 0o700, exist_ok=True)
            for name in os.listdir(shared) if shared else ():
                with suppress(FileExistsError):
                    os.symlink(shared + b"/" + name, own + b"/" + name)
            if self.task.spec.chdir == work:
                os.chdir(own)
                env[b"PWD"] = own

    def first_process(self, program: Program, env: "dict[bytes, bytes]") -> int:
        """Start the task; the pid. If this process dies, its guard ends the task; without a guard, the kernel does."""
        is_guarded = self.guard and os.getppid() == self.guard
        first = spawn_job(program, env, self.task) if is_guarded else None
        return fork_job(program, env, self.task, self.prctl) if first is None else first

    def complain(self, reason: str) -> None:
        """Write to stderr why the program cannot be executed, as a shell would."""
        fd = os.open("stderr", APPEND, dir_fd=self.place.folder)
        try:
            os.write(fd, b"clbalance: %s\n" % reason.encode("utf-8", "replace"))
        finally:
            os.close(fd)

    def write_log(self, entries: "list[list[Any]]") -> None:
        rest = b"".join(dumps(entry).encode("ascii") + b"\n" for entry in entries)
        while rest:
            rest = rest[os.write(self.log, rest) :]

    def tell_of_log(self, at_once: bool) -> None:
        """Tell the agent to read the log; not for every one of many short tasks."""
        now = time.monotonic()
        if at_once or now - self.told_at >= LOG_TOLD_EVERY_S:
            self.told_at = now
            self.tell("logged")

    def carry_out(self, order: "dict[str, Any]") -> None:
        if order.get("do") == "finish":
            self.no_more = True
        else:
            super().carry_out(order)

    def obey(self, lines: "list[bytes | None]") -> None:
        super().obey(lines)
        if self.orders.closed:  # the agent is gone, so no more tasks come
            self.no_more = True

    def end(self, verdict: "dict[str, Any]", grace_s: float) -> None:
        """End the running task, and start no further one."""
        self.stopped = self.stopped or verdict
        super().end(verdict, grace_s)


def task_line(task: object) -> bytes:
    """A task as a line of the queue. `MisfitError` if it is malformed."""
    if not (isinstance(task, list) and len(task) == 2 and is_a(Count, task[0]) and isinstance(task[1], list)):
        raise MisfitError("tasks: %.60r is no task; one is [number, [word, ...]]" % (task,))
    for word in task[1]:
        encoded(word, "task")
    return dumps(task).encode("ascii") + b"\n"


def parse_task(line: "bytes | None") -> "tuple[int, list[bytes]] | None":
    """A task's number and words. None for a bad line: a full disk tears lines, and tasks can write to the queue."""
    try:
        number, words = loads((line or b"").decode("ascii"))
        task_line([number, words])
        return number, [encoded(word, "task") for word in words]
    except (ValueError, TypeError, RecursionError, MisfitError):
        return None
