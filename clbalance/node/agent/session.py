"""The jobs of one conversation, each as its agent sees it, and what becomes of them."""

import json
import os
import time

from clbalance.node.agent.folder import JobsFolder
from clbalance.node.agent.job.follow import CheckpointFile, Follower, Wanted
from clbalance.node.agent.job.outcome import read_fate
from clbalance.node.agent.job.settle import bury, supervisor_of
from clbalance.node.agent.job.spawn import Link
from clbalance.node.agent.protocol import ADMIT_WITHIN_S, Channel, RefusedError
from clbalance.node.agent.tree import Prctl

MYPY = False
if MYPY:
    from typing import Any


# A claimed job as its agent sees it.


class Job:
    """A job of this session: claimed here, or one that another agent started.

    `link` while it has a supervisor that was forked here; `ended` once it has an end, `follower` while it is followed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files: "dict[str, int]" = {}
        self.wanted: "Wanted | None" = None
        self.asked = False  # for admission
        self.is_slot = False
        self.admitted = False
        self.launched = False
        self.started_at: "float | None" = None
        self.link: "Link | None" = None
        self.follower: "Follower | None" = None
        self.checkpoint: "CheckpointFile | None" = None  # while it is awaited
        self.ended: "dict[str, Any] | None" = None

    def stillborn(self) -> RefusedError:
        """Why its supervisor is gone before the start. One that hangs at admission is ended by the kernel's clock."""
        if self.asked and not self.admitted:
            return RefusedError("lock", "its supervisor died at admission, for which it has %g s" % ADMIT_WITHIN_S)
        return RefusedError("resources", "its supervisor died before it could start")

    def hang_up(self) -> None:
        """Let go of the supervisor and the files; one that has not started ends by it."""
        if self.link is not None:
            self.link.close()
            self.link = None
        if self.follower is not None:
            self.follower.close()
            self.follower = None


class Session:
    """Jobs that were claimed here, and those of other agents that the client asked after."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        self.channel = channel
        self.base = base
        self.jobs: "dict[str, Job]" = {}
        self.refused: "set[str]" = set()
        self.loaded: "Prctl | None" = None
        self.jobs_folder: "JobsFolder | None" = None

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

    def may_start(self, name: str) -> bool:
        return name in self.jobs and not self.jobs[name].launched

    def give_up(self) -> None:
        """Leave nothing of what was not started."""
        for job in self.jobs.values():
            if not job.launched:
                self.clear(job.name)

    # What supervisors tell

    def linked(self) -> "dict[int, Job]":
        """The jobs with a supervisor that was forked here, by the descriptor on which it tells its news."""
        return {job.link.news.fd: job for job in self.jobs.values() if job.link is not None}

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
            elif ev == "logged":
                if job.follower is not None:
                    job.follower.due = 0.0
            elif ev == "admitted":
                job.admitted = True
                self.channel.say(ev, job=job.name, **news)
            elif ev == "ended":
                self.conclude(job, news)
            else:
                self.refuse(job.name, RefusedError.of_fields(news))
            if job.link is None:
                return
        if job.link.news.closed:
            self.lose(job)

    def refuse(self, name: str, refusal: RefusedError) -> None:
        """Tell why a job does not run, and leave no half of it: of a claim that was ours, only the tombstone stays."""
        job = self.jobs.pop(name, None)
        if job is not None:
            job.hang_up()
            self.clear(name)
        self.refused.add(name)
        self.channel.say("refused", job=name, **refusal.to_fields())

    def clear(self, name: str) -> None:
        """Leave the tombstone of a claim alone."""
        try:
            self.folder.clear(name)
        except FileNotFoundError:
            return  # somebody has wiped the node folder
        except OSError as error:
            self.channel.complain("%s: not cleared: %s" % (name, os.strerror(error.errno or 0)), name)

    def lose(self, job: Job) -> None:
        """The supervisor died without a word, its job's first process with it."""
        if job.started_at is None and not self.has_started(job.name):
            self.refuse(job.name, job.stillborn())
            return
        record = bury(self.folder, job.name)
        if record["usage"] is None and job.started_at is not None:
            record["seconds"] = round(time.monotonic() - job.started_at, 6)  # which nobody else knows
        self.conclude(job, record)

    def has_started(self, name: str) -> bool:
        """By its fate; where the job has removed its folder, by a supervisor that lives."""
        try:
            folder = self.folder.open(name)
        except FileNotFoundError:
            return supervisor_of(self.folder.home_fd, name) is not None
        try:
            return read_fate(folder) == "started"
        finally:
            os.close(folder)

    def conclude(self, job: Job, ended: "dict[str, Any]") -> None:
        """The job is over; who follows it is told, once all that it wrote has been passed on."""
        job.ended = ended
        if job.link is not None:
            job.link.close()
            job.link = None
        if job.follower is not None:
            job.follower.due = 0.0

    # What clients that follow are told

    def patience_ms(self) -> "float | None":
        """How long there is nothing to do but listen."""
        due = [job.follower.due for job in self.jobs.values() if job.follower is not None]
        due += [job.checkpoint.due for job in self.jobs.values() if job.checkpoint is not None]
        if not due or self.channel.congested:
            return None
        return max(0.0, min(due) - time.monotonic()) * 1000

    def attach(self, job: Job) -> None:
        """Follow what was both started and asked for."""
        if job.wanted is None or not job.launched:
            return
        if job.follower is not None:
            job.follower.close()
            job.follower = None
        job.follower = Follower(self.folder, job.name, job.wanted)

    def pump(self) -> None:
        """Pass on the output that has fallen due, and the end of each job whose output has all been passed on."""
        now = time.monotonic()
        for job in self.jobs.values():
            self.look_for_checkpoint(job, now)
            follower = job.follower
            if follower is None or follower.due > now or self.channel.congested:
                continue
            follower.pump(self.channel, now)
            if follower.drained:
                self.pass_on_end(job, follower)

    def look_for_checkpoint(self, job: Job, now: float) -> None:
        """Tell once that the job's file is there; of a job that is over there is nothing more to tell."""
        awaited = job.checkpoint
        if awaited is None or awaited.due > now:
            return
        if job.ended is not None:
            job.checkpoint = None
        elif awaited.is_written(now):
            job.checkpoint = None
            self.channel.say("checkpointed", job=job.name)

    def pass_on_end(self, job: Job, follower: Follower) -> None:
        """All that there is has been passed on: say so where that was all that was wanted, or where it is the end."""
        if job.ended is None and job.link is None and supervisor_of(self.folder.home_fd, job.name) is None:
            self.conclude(job, bury(self.folder, job.name))
            return  # it is due once more, for what was written meanwhile
        if job.ended is not None:
            self.channel.say("ended", job=job.name, **job.ended)
        elif not follower.to_the_end:
            self.channel.say("current", job=job.name)
        else:
            return
        follower.close()
        job.follower = None
