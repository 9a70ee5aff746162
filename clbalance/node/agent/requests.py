"""The requests of a client, one method for each."""

import binascii
import os
import time

from clbalance.node.agent.protocol import (
    APPEND,
    EXIT_BYTES,
    WHY_CHARS,
    WRITE_NEW,
    MisfitError,
    RefusedError,
    fail_point,
    shown,
)
from clbalance.node.agent.session import Job, Session
from clbalance.node.stdlib import dumps, signal

MYPY = False
if MYPY:
    from typing import Any

BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Requests:
    """One method for each `op`. The caller reports `MisfitError`, `RefusedError`, `OSError` and `ImportError`.

    Each imports what only some sessions need.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.ops = {
            "claim": self.claim,
            "admit": self.admit,
            "put": self.put,
            "start": self.start,
            "input": self.input,
            "tasks": self.tasks,
            "finish": self.finish,
            "follow": self.follow,
            "ack": self.ack,
            "keep": self.keep,
            "signal": self.signal,
            "checkpoint": self.checkpoint,
            "end": self.end,
            "forget": self.forget,
            "settle": self.settle,
            "status": self.status,
            "ping": self.ping,
            "propose": self.of_node,
            "drain": self.of_node,
            "resume": self.of_node,
            "reap": self.of_node,
        }

    def known(self, request: "dict[str, Any]") -> Job:
        job = self.session.jobs.get(request["job"])
        if job is None:
            raise MisfitError("%s: %s was not claimed here" % (request["op"], request["job"]))
        return job

    def find_job(self, request: "dict[str, Any]") -> Job:
        """A job of this session, or one that another agent started here."""
        name = request["job"]
        if name not in self.session.jobs:
            if not self.session.has_started(name):
                raise MisfitError("%s: %s was not started here" % (request["op"], name))
            self.session.jobs[name] = Job(name)
            self.session.jobs[name].launched = True
        return self.session.jobs[name]

    def unlaunched(self, request: "dict[str, Any]") -> Job:
        job = self.known(request)
        if job.launched:
            raise MisfitError("%s: %s was started before" % (request["op"], job.name))
        return job

    def claim(self, request: "dict[str, Any]") -> None:
        from clbalance.node.agent.job.outcome import ensure_incarnation, read_boot_id

        name = request["job"]
        if name in self.session.jobs:
            raise MisfitError("claim: %s was claimed here before" % name)
        incarnation = ensure_incarnation(self.session.folder.home_fd)
        self.session.folder.claim(name, request["work"])
        fail_point("claimed")
        self.session.refused.discard(name)
        self.session.jobs[name] = Job(name)
        where = shown(self.session.folder.path(name))
        self.session.channel.say("claimed", job=name, boot_id=read_boot_id(), birth=incarnation, folder=where)

    def admit(self, request: "dict[str, Any]") -> None:
        from clbalance.node.agent.job.spawn import spawn_supervisor
        from clbalance.node.agent.job.supervisor import Supervisor
        from clbalance.node.agent.job.task import Place
        from clbalance.node.agent.lease.admission import Admission
        from clbalance.node.agent.lease.capacity import Wish

        job = self.unlaunched(request)
        if job.link is not None:
            raise MisfitError("admit: %s asked for that before" % job.name)
        wish = Wish(request["lease"], request["capacity"])
        job.asked = True
        job.is_slot = request["tasks"]
        jobs = self.session.folder
        admission = Admission(job.name, wish, self.session.base, jobs.home_fd)
        folder = jobs.open(job.name)
        try:
            place = Place(job.name, jobs.fd, folder, jobs.path(job.name))
            kind = Supervisor  # type: type[Supervisor]
            if job.is_slot:
                from clbalance.node.agent.job.slot import Slot

                kind = Slot
            job.link = spawn_supervisor(kind, place, admission, guarded=job.is_slot)
        finally:
            os.close(folder)

    def put(self, request: "dict[str, Any]") -> None:
        job = self.unlaunched(request)
        file = request["file"]
        if file not in ("script", "stdin"):
            raise MisfitError("put: `file` must be script or stdin, not %.40r" % file)
        content = self.decoded(request, file)
        self.session.folder.write(job.name, {file: content}, APPEND if file in job.files else WRITE_NEW)
        job.files[file] = job.files.get(file, 0) + len(content)
        if job.link is not None:
            job.link.order("keep")
        self.session.channel.say("stored", job=job.name, file=file, size=job.files[file])

    @staticmethod
    def decoded(request: "dict[str, Any]", what: str) -> bytes:
        data = request["data"]
        content = data.rstrip("=")
        try:
            if content.strip(BASE64) or len(data) - len(content) > 2:
                raise binascii.Error  # of which `a2b_base64` takes no notice
            return binascii.a2b_base64(data)
        except binascii.Error:
            raise RefusedError("spec", "%s: what was sent for %s is not base64" % (request["op"], what)) from None

    def start(self, request: "dict[str, Any]") -> None:
        job = self.unlaunched(request)
        if job.link is None:
            raise MisfitError("start: %s was not admitted" % job.name)
        from clbalance.node.agent.job.program import Spec

        spec = Spec(request["spec"])
        if spec.script is not None and "script" not in job.files:
            raise RefusedError("spec", "`script` was asked for, but nothing was put there")
        kept = dumps(request["spec"]).encode("ascii")
        files = {"spec": kept, "exit.tmp": b" " * EXIT_BYTES, "stdout": b"", "stderr": b""}
        if spec.hosts:
            files["hosts"] = spec.hosts
        if job.is_slot:
            files.update(queue=b"", log=b"")  # made here: a follower opens it at once
        self.session.folder.write(job.name, files)
        if spec.results_s:
            self.session.folder.set_time(job.name, time.time() + spec.results_s)
        job.link.order("start")  # the supervisor reads the spec from the file
        job.launched = True
        job.fed = spec.fed
        self.session.attach(job)

    def input(self, request: "dict[str, Any]") -> None:
        """Pass standard input on to a job that takes it. Input that it does not read any more is dropped."""
        job = self.known(request)
        if job.input is not None:
            job.input.add(self.decoded(request, "input"), complete=request["complete"])
            self.session.feed(job)

    def tasks(self, request: "dict[str, Any]") -> None:
        """Append tasks, each `[number, [word, ...]]`, to the queue of a slot."""
        from clbalance.node.agent.job.slot import task_line

        job = self.known_slot(request)
        lines = [task_line(task) for task in request["tasks"]]
        self.session.folder.write(job.name, {"queue": b"".join(lines)}, APPEND)
        self.order(job, "more")

    def finish(self, request: "dict[str, Any]") -> None:
        """No more tasks come: the slot ends after its queue, whichever agent started it."""
        self.order(self.find_job(request), "finish")

    def known_slot(self, request: "dict[str, Any]") -> Job:
        job = self.known(request)
        if not job.is_slot or not job.launched:
            raise MisfitError("%s: %s is no slot that was started here" % (request["op"], job.name))
        return job

    def follow(self, request: "dict[str, Any]") -> None:
        from clbalance.node.agent.job.follow import Wanted

        job = self.find_job(request)
        job.wanted = Wanted(request)
        self.session.attach(job)

    def ack(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if job.follower is not None:
            job.follower.acknowledge(request["stream"], request["offset"])

    def signal(self, request: "dict[str, Any]") -> None:
        job = self.find_job(request)
        if not 0 < request["signal"] < signal.NSIG:
            raise MisfitError("signal: there is no signal %d" % request["signal"])
        if not job.launched:
            raise MisfitError("signal: %s was not started" % job.name)
        self.order(job, "signal", signal=request["signal"])

    def keep(self, request: "dict[str, Any]") -> None:
        """Restart the time for which the lease waits for the start of its job."""
        job = self.unlaunched(request)
        if job.link is None or not job.admitted:
            raise MisfitError("keep: %s was not admitted" % job.name)
        job.link.order("keep")
        self.session.channel.say("kept", job=job.name)

    def checkpoint(self, request: "dict[str, Any]") -> None:
        """Send a signal to all processes of the job. If a file is named, say when it has been written since."""
        if request["file"] is not None:
            from clbalance.node.agent.fields import encoded
            from clbalance.node.agent.job.checkpoint import CheckpointFile, path_in_workdir

            job = self.find_job(request)
            named = encoded(request["file"], "checkpoint")
            path = path_in_workdir(self.session.folder, job.name, named)
            job.checkpoint = CheckpointFile(path, time.monotonic())
        self.signal(request)

    def end(self, request: "dict[str, Any]") -> None:
        job = self.find_job(request)
        reason = request["why"][:WHY_CHARS]
        if not job.launched:
            raise RefusedError("cancelled", reason)
        self.order(job, "end", grace_s=request["grace_s"], why=reason)

    def order(self, job: Job, do: str, **facts: object) -> None:
        """Send an order to the job's supervisor, if it lives. If not, the client learns of the end by following."""
        if job.link is not None:
            job.link.order(do, **facts)
        elif job.ended is None:
            from clbalance.node.agent.job.orders import order_text
            from clbalance.node.agent.job.settle import supervisor_of
            from clbalance.node.agent.tree import send

            supervisor = supervisor_of(self.session.folder.home_fd, job.name)
            if do == "end" and supervisor is not None and supervisor > 1:
                send(os.kill, supervisor, signal.SIGCONT)  # while it is stopped it reads no order
            if self.send_order(job.name, order_text(do, **facts)) or supervisor is None:
                return
            if do != "end" or supervisor <= 1:  # pid unknown: in another namespace
                raise MisfitError(
                    "%s: %s cannot get the order: its `control` is missing, full or no FIFO" % (do, job.name)
                )
            send(os.kill, supervisor, signal.SIGTERM)

    def send_order(self, name: str, order: bytes) -> bool:
        try:
            folder = self.session.folder.open(name)
        except FileNotFoundError:
            return False
        from clbalance.node.agent.job.orders import send_order

        try:
            return send_order(folder, order)
        finally:
            os.close(folder)

    def status(self, request: "dict[str, Any]") -> None:
        """Send the state and the resource usage of any job."""
        from clbalance.node.agent.job.settle import status_of

        name = request["job"]
        self.session.channel.say("status", job=name, **status_of(self.session.folder, name))

    def ping(self, request: "dict[str, Any]") -> None:
        """Say that we are alive: a client that hears nothing for long cannot tell a quiet job from a hung agent."""
        self.session.channel.say("alive")

    def settle(self, request: "dict[str, Any]") -> None:
        """Say what became of a job that is not in this session."""
        from clbalance.node.agent.job.settle import Inquiry

        name = request["job"]
        if name in self.session.jobs:
            raise MisfitError("settle: %s belongs to this session" % name)
        self.session.refused.discard(name)
        inquiry = Inquiry(self.session.folder, name, request["boot_id"], request["birth"], request["void"])
        self.session.channel.say("settled", job=name, **inquiry.answer())

    def forget(self, request: "dict[str, Any]") -> None:
        job = self.known(request)
        if job.ended is None:
            raise MisfitError("forget: %s has not ended" % job.name)
        job.hang_up()
        del self.session.jobs[job.name]
        if request["work"]:
            self.session.folder.drop_work(job.name)
        else:
            self.session.folder.retire(job.name)

    def of_node(self, request: "dict[str, Any]") -> None:
        from clbalance.node.agent.node_requests import NODE_REQUESTS

        NODE_REQUESTS[request["op"]](self.session, request)
