"""Requests to jobs, news of jobs to events."""

import base64
import binascii
import json
import os
import select
import signal
import time

from clbalance.node.agent.admission import Admission
from clbalance.node.agent.capacity import Wish
from clbalance.node.agent.fields import parse_request
from clbalance.node.agent.folder import JobsFolder, keep_exit
from clbalance.node.agent.follower import Follower
from clbalance.node.agent.hello import BASE, CHANNEL
from clbalance.node.agent.job import Job
from clbalance.node.agent.limits import APPEND, EXIT_BYTES, KILL_AGAIN_S, KILL_PATIENCE_S, MARK_BYTES, WRITE_NEW
from clbalance.node.agent.marks import mark_text, put_mark
from clbalance.node.agent.spawn import spawn_supervisor
from clbalance.node.agent.spec import Spec
from clbalance.node.agent.task import Place
from clbalance.node.agent.tree import Prctl, Tree, carrying
from clbalance.node.agent.wire import Channel
from clbalance.node.agent.words import MisfitError, RefusedError, refusal_of, shown

MYPY = False
if MYPY:
    from typing import Any


class Agent:
    """Serves one client until it goes away."""

    def __init__(self, channel: Channel, base: bytes) -> None:
        self.channel = channel
        self.base = base
        self.loaded: "Prctl | None" = None
        self.jobs_folder: "JobsFolder | None" = None
        self.jobs: "dict[str, Job]" = {}
        self.refused: "set[str]" = set()
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
        ended: "dict[str, Any]" = {"end": end, "seconds": seconds, "usage": None, "warnings": warnings}
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
