"""The jobs of one connection: their supervisors, their output and their ends."""

import os
import time

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.protocol import ADMIT_WITHIN_S, Channel, RefusedError
from clbalance.node.stdlib import loads, suppress

MYPY = False
if MYPY:
    from typing import Any

    from clbalance.node.agent.job.checkpoint import CheckpointFile
    from clbalance.node.agent.job.follow import Follower, Wanted
    from clbalance.node.agent.job.input import InputPipe
    from clbalance.node.agent.job.spawn import Link


# The agent's record of a job.


class Job:
    """A job of this session: claimed here, or one that another agent started.

    `link` is set while a supervisor that was forked here lives, `follower` while the job is followed, and `ended` once
    it has ended.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: "dict[str, int]" = {}
        self.wanted: "Wanted | None" = None
        self.asked = False  # admission was asked for
        self.is_slot = False
        self.admitted = False
        self.launched = False
        self.fed = False  # its standard input comes while it runs
        self.input: "InputPipe | None" = None  # from its start until its input is complete
        self.started_at: "float | None" = None
        self.link: "Link | None" = None
        self.follower: "Follower | None" = None
        self.checkpoint: "CheckpointFile | None" = None  # while its writing is awaited
        self.ended: "dict[str, Any] | None" = None

    def died_before_start(self) -> RefusedError:
        """The refusal of a job whose supervisor died before the start. A timer kills one that hangs at admission."""
        if self.asked and not self.admitted:
            return RefusedError("lock", "its supervisor died at admission, for which it has %g s" % ADMIT_WITHIN_S)
        return RefusedError("resources", "its supervisor died before it could start")

    def hang_up(self) -> None:
        """Close the connection to the supervisor and the followed files. A job that has not started ends thereby."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.follower is not None:
            self.follower.close()
            self.follower = None
        self.close_input()

    def close_input(self) -> None:
        if self.input is not None:
            self.input.close()
            self.input = None


def free_port() -> int:
    """A TCP port where nobody listens, below those that the kernel gives out itself; 0 if none is found."""
    import _socket  # `socket` takes a while to import

    for _ in range(20):
        port = 16384 + int.from_bytes(os.urandom(2), "big") % 16384
        probe = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        try:
            probe.bind(("", port))
            return port
        except OSError:
            pass
        finally:
            probe.close()
    return 0


class Session:
    """Jobs that were claimed over this connection, and jobs of other agents that the client asked about."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        self.channel = channel
        self.base = base
        self.jobs: "dict[str, Job]" = {}
        self.refused: "set[str]" = set()
        self.jobs_folder: "JobsFolder | None" = None

    @property
    def folder(self) -> JobsFolder:
        if self.jobs_folder is None:
            self.jobs_folder = JobsFolder(self.base)
        return self.jobs_folder

    def may_start(self, name: str) -> bool:
        return name in self.jobs and not self.jobs[name].launched

    def give_up(self) -> None:
        """Empty the folders of all jobs that were not started."""
        for job in self.jobs.values():
            if not job.launched:
                self.clear(job.name)

    # News from supervisors

    def linked(self) -> "dict[int, Job]":
        """The jobs whose supervisor was forked here, by the descriptor of its news."""
        return {job.link.news.fd: job for job in self.jobs.values() if job.link is not None}

    def hear(self, job: Job) -> None:
        """Read and handle a supervisor's news."""
        if job.link is None:
            return
        for line in job.link.news.receive():
            news = loads((line or b"").decode("ascii"))
            ev = news.pop("ev")
            if ev == "started":
                self.started(job, news)
            elif ev == "logged":
                if job.follower is not None:
                    job.follower.told = True
                    job.follower.due = 0.0
            elif ev == "admitted":
                job.admitted = True
                self.channel.say(ev, job=job.name, port=0 if job.is_slot else free_port(), **news)
            elif ev == "ended":
                self.conclude(job, news)
            else:
                self.refuse(job.name, RefusedError.of_fields(news))
            if job.link is None:
                return
        if job.link.news.closed:
            self.lose(job)

    def started(self, job: Job, news: "dict[str, Any]") -> None:
        job.started_at = time.monotonic()
        self.channel.say("started", job=job.name, **news)
        if job.fed:
            self.begin_input(job)

    def refuse(self, name: str, refusal: RefusedError) -> None:
        """Say why a job does not run. If it was claimed here, its folder is emptied; only the tombstone stays."""
        job = self.jobs.pop(name, None)
        if job is not None:
            job.hang_up()
            self.clear(name)
        self.refused.add(name)
        self.channel.say("refused", job=name, **refusal.to_fields())

    def clear(self, name: str) -> None:
        """Remove all of a claim but its tombstone."""
        try:
            self.folder.clear(name)
        except FileNotFoundError:
            return  # the node folder was wiped
        except OSError as error:
            self.channel.complain("%s: not cleared: %s" % (name, os.strerror(error.errno or 0)), name)

    def lose(self, job: Job) -> None:
        """Handle the death of a supervisor that reported no end. The job's first process died with it."""
        if job.started_at is None and not self.has_started(job.name):
            self.refuse(job.name, job.died_before_start())
            return
        from clbalance.node.agent.job.settle import end_unsupervised

        record = end_unsupervised(self.folder, job.name)
        if record["usage"] is None and job.started_at is not None:
            record["seconds"] = round(time.monotonic() - job.started_at, 6)  # only we know it
        self.conclude(job, record)

    def has_started(self, name: str) -> bool:
        """Whether a job has started: by its fate file, or by a living supervisor if the job removed its folder."""
        from clbalance.node.agent.job.outcome import read_fate
        from clbalance.node.agent.job.settle import supervisor_of

        try:
            folder = self.folder.open(name)
        except FileNotFoundError:
            return supervisor_of(self.folder.home_fd, name) is not None
        try:
            return read_fate(folder) == "started"
        finally:
            os.close(folder)

    def conclude(self, job: Job, ended: "dict[str, Any]") -> None:
        """Record the end of a job. A client that follows it is told after all of its output was passed on."""
        job.ended = ended
        job.close_input()
        if job.link is not None:
            job.link.close()
            job.link = None
        if job.follower is not None:
            job.follower.due = 0.0

    # Input that is passed on while a job runs

    def begin_input(self, job: Job) -> None:
        """Open its FIFO. If the job has closed or removed that already, it needs no input."""
        from clbalance.node.agent.job.input import InputPipe, open_writer

        job.input = InputPipe(None)
        with suppress(FileNotFoundError):
            folder = self.folder.open(job.name)
            try:
                job.input = InputPipe(open_writer(folder))
            finally:
                os.close(folder)
        self.feed(job)

    def feeding(self) -> "dict[int, Job]":
        """The jobs that still take input, by the descriptor of their pipe."""
        return {job.input.fd: job for job in self.jobs.values() if job.input is not None and job.input.fd is not None}

    def feed(self, job: Job) -> None:
        """Write input, and say how much the job has taken, and whether it needs more."""
        pipe = job.input
        if pipe is None:
            return
        pipe.write()
        self.channel.say("taken", job=job.name, size=pipe.taken, over=pipe.over)
        if pipe.over:
            job.close_input()
            if job.link is not None:
                job.link.order("input_complete")

    # Output and ends, for a client that follows

    def patience_ms(self) -> "float | None":
        """How long there is nothing to do but listen."""
        due = [job.follower.due for job in self.jobs.values() if job.follower is not None]
        due += [job.checkpoint.due for job in self.jobs.values() if job.checkpoint is not None]
        if not due or self.channel.congested:
            return None
        return max(0.0, min(due) - time.monotonic()) * 1000

    def attach(self, job: Job) -> None:
        """Begin to follow a job, if it was started and the client asked for it."""
        if job.wanted is None or not job.launched:
            return
        from clbalance.node.agent.job.follow import Follower

        if job.follower is not None:
            job.follower.close()
            job.follower = None
        job.follower = Follower(self.folder, job.name, job.wanted)

    def pump(self) -> None:
        """Pass output on that is due, and the end of each job whose output was passed on completely."""
        now = time.monotonic()
        for job in self.jobs.values():
            self.look_for_checkpoint(job, now)
            follower = job.follower
            if follower is None or follower.due > now or self.channel.congested:
                continue
            follower.told |= job.link is None  # nobody tells, or the job has ended
            if job.ended is not None:
                follower.to_the_end = True  # nothing is written meanwhile, and `ended` comes after all output
            follower.pump(self.channel, now)
            if follower.drained:
                self.pass_on_end(job, follower)

    def look_for_checkpoint(self, job: Job, now: float) -> None:
        """Say once that the checkpoint file was written. Stop looking when the job has ended."""
        awaited = job.checkpoint
        if awaited is None or awaited.due > now:
            return
        if job.ended is not None:
            job.checkpoint = None
        elif awaited.is_written(now):
            job.checkpoint = None
            self.channel.say("checkpointed", job=job.name)

    def pass_on_end(self, job: Job, follower: "Follower") -> None:
        """After all output: send `ended` if the job has ended, or `current` if only the present output was wanted."""
        if job.ended is None and job.link is None:
            from clbalance.node.agent.job.settle import end_unsupervised, supervisor_of

            if supervisor_of(self.folder.home_fd, job.name) is None:
                self.conclude(job, end_unsupervised(self.folder, job.name))
                return  # read once more what was written meanwhile
        if job.ended is not None:
            self.channel.say("ended", job=job.name, **job.ended)
        elif not follower.to_the_end:
            self.channel.say("current", job=job.name)
        else:
            return
        follower.close()
        job.follower = None
