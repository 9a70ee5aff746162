"""Admission: the node's decision on a request for a lease, under the node's lock."""

import fcntl
import os
import select
import time

from clbalance.node.agent.folder import write_all
from clbalance.node.agent.lease.capacity import LackError, Wish, grant, measure, measure_tmp, visible_gpus
from clbalance.node.agent.lease.files import (
    Lease,
    Mark,
    mark_text,
    open_mark,
    parse_lease,
    read_mark,
    remove_void,
)
from clbalance.node.agent.lease.listing import Look
from clbalance.node.agent.protocol import (
    ADMIT_WITHIN_S,
    KEPT_OPEN,
    LEASES_OF_ONE,
    LOCK_AGAIN_MS,
    LOCK_WITHIN_S,
    LOOKS,
    MARK_BYTES,
    RESERVE_S,
    WRITE_NEW,
    RefusedError,
)
from clbalance.node.stdlib import signal, suppress

MYPY = False
if MYPY:
    from typing import Any

    from clbalance.node.agent.lease.limits_file import NodeLimits

LIMITS = b"/etc/clbalance/limits.conf"


def reserve_s() -> float:
    """Seconds that a lease waits for its job's start; the lab may shorten it."""
    try:
        return float(os.environ.get("CLBALANCE_RESERVE_S") or RESERVE_S)
    except ValueError:
        return RESERVE_S


class JobLimits:
    """The limits in a job's lease; None: no limit. `cpu_ids`: the cpus to bind it to; empty: none."""

    def __init__(self, allocation: "dict[str, Any]") -> None:
        self.cpus: "float | None" = allocation.get("limit_cpus")
        self.mem_bytes: "int | None" = allocation.get("limit_mem_bytes")
        self.cpu_ids: "list[int]" = []
        if "cpu_ids" in allocation:
            from clbalance.node.agent.lease.cpus import parse_cpulist

            self.cpu_ids = parse_cpulist(allocation["cpu_ids"])

    @property
    def cpus_are_whole(self) -> bool:
        return self.cpus is None or self.cpus == int(self.cpus)


class OwnLease:
    """The lease of this process, held by an fcntl lock on `fd`.

    The kernel drops such a lock when its process closes any descriptor of that file. So this process must not open
    the file again, and lists no leases after this.
    """

    def __init__(self, home: int, name: str, allocation: "dict[str, Any]") -> None:
        self.home = home
        self.name = "lease-" + name
        self.gpus: "list[str]" = allocation["gpus"]
        self.gpu_share: float = allocation.get("gpu_share", 1.0)
        self.visible: "dict[str, bool] | None" = None
        self.limits = JobLimits(allocation)
        content = mark_text(allocation)
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
            with suppress(OSError):
                os.unlink(fresh, dir_fd=home)
            raise

    def release(self) -> None:
        """Remove the file, then drop the lock, so that every lease that is visible is held."""
        with suppress(OSError):
            os.unlink(self.name, dir_fd=self.home)
        os.close(self.fd)


class Admission:
    """Gets one job's lease (docs/design/leases.md). `known`: leases and drain marks that were read without the lock."""

    def __init__(self, name: str, wish: Wish, base: bytes, home_fd: int) -> None:
        self.name = name
        self.wish = wish
        self.base = base
        self.home_fd = home_fd
        self.known: "dict[tuple[bytes, str, int], Lease | None]" = {}
        self.kept: "list[int]" = []
        self.tmp_free = 0
        self.limits: "NodeLimits | None" = None

    def admit(self, tie: int) -> OwnLease:
        """The lease, or a `RefusedError`, for example when the other end of the pipe `tie` was closed."""
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

    def more(self) -> "dict[str, object]":
        """What else a client is told that was admitted."""
        over = [] if self.limits is None else self.limits.over_sets()
        return {"over": over} if over else {}

    def negotiate(self, tie: int) -> OwnLease:
        until = time.monotonic() + LOCK_WITHIN_S
        if self.wish.tmp_bytes:
            self.tmp_free = measure_tmp()
        self.limits = find_limits()
        for _ in range(LOOKS):
            look = Look(self.base)
            look.check_own()
            self.read(look)
            lock = lock_node(self.base, until, tie)
            try:
                marks = look.again()
                if marks is not None:
                    return self.decide(marks, look.crowds)
            finally:
                os.close(lock)
        raise look.restless() or RefusedError("lock", "leases came and went all the time; looked %d times" % LOOKS)

    def read(self, look: Look) -> None:
        """Read the new marks. They are files of other users and may hang, so this is done without the lock."""
        fresh = [mark for mark in look.marks if mark.identity not in self.known]
        drains = [mark for mark in fresh if mark.is_drain]
        if drains:
            from clbalance.node.agent.lease.drains import refuse_if_drained

            refuse_if_drained(drains, self.wish.force)
            self.known.update((mark.identity, None) for mark in drains)
        void: "list[Mark]" = []
        for mark in fresh:
            if not mark.is_drain:
                self.known[mark.identity] = self.keep(self.read_lease(mark, look, void))
        remove_void(void)
        if self.limits is not None:
            self.limits.learn(self.known.values())

    @staticmethod
    def read_lease(mark: Mark, look: Look, void: "list[Mark]") -> "Lease | None":
        """The lease, if it is held; else None, and if it is ours it is added to `void`."""
        try:
            fd = open_mark(mark)
        except PermissionError:
            return Lease(mark.uid, None) if look.may_be_locked(mark) else None
        if fd is None:
            return None
        from clbalance.node.agent.lease.locks import is_locked

        if is_locked(fd):
            return Lease(mark.uid, parse_lease(read_mark(fd)), fd)
        os.close(fd)
        if mark.uid == os.geteuid():
            void.append(mark)
        return None

    def keep(self, lease: "Lease | None") -> "Lease | None":
        """Keep the lease's file open for the test under the lock, up to `KEPT_OPEN` files."""
        if lease is None or lease.fd is None:
            return lease
        if len(self.kept) < KEPT_OPEN:
            self.kept.append(lease.fd)
            return lease
        os.close(lease.fd)
        return Lease(lease.uid, lease.fields)

    def decide(self, marks: "list[Mark]", crowds: "dict[int, str]") -> OwnLease:
        """Decide, under the lock. It reads no file of another user and waits for nothing."""
        listed = (self.known[mark.identity] for mark in marks)
        leases = [lease for lease in listed if lease is not None and lease.holds]
        leases += [Lease(uid, None, flaw=flaw) for uid, flaw in crowds.items()]
        if sum(lease.uid == os.geteuid() for lease in leases) >= LEASES_OF_ONE:
            raise LackError("leases", "you hold %d leases on this node, the most of one user" % LEASES_OF_ONE, {})
        node = measure()
        node.tmp_free = self.tmp_free
        if self.limits is not None:
            self.limits.check(self.wish, leases, node)
        gpus = grant(self.wish, leases, node)
        for name in os.listdir(self.home_fd):
            if name.startswith("new-"):  # left by a supervisor that died in `OwnLease`
                os.unlink(name, dir_fd=self.home_fd)
        wish = self.wish
        allocation = {"v": 1, "cpus": wish.cpus, "mem_bytes": wish.mem_bytes, "gpus": gpus, "slots": wish.slots}
        allocation.update(exclusive=wish.exclusive, uptime_s=node.uptime_s, name=wish.name)
        if wish.gpu_share < 1:
            allocation["gpu_share"] = wish.gpu_share
        for field in ("tmp_bytes", "limit_cpus", "limit_mem_bytes"):
            if getattr(wish, field):
                allocation[field] = getattr(wish, field)
        allocation.update(self.cpus_for(leases, gpus))
        if len(mark_text(allocation)) > MARK_BYTES:
            allocation.pop("cpu_ids", None)
        lease = OwnLease(self.home_fd, self.name, allocation)
        lease.visible = visible_gpus(wish, leases)
        return lease

    def cpus_for(self, leases: "list[Lease]", gpus: "list[str]") -> "dict[str, str]":
        """The field `cpu_ids`: the cpus to bind the job to; nothing if its cpus are not limited."""
        if self.wish.limit_cpus is None:
            return {}
        from clbalance.node.agent.lease.cpus import (
            choose_cpus,
            cpulist_text,
            cpus_to_bind,
            memory_domains,
            parse_cpulist,
            taken_cpus,
        )

        count = cpus_to_bind(self.wish.limit_cpus)
        if not count:
            return {}
        near = {cpu for gpu in gpus for cpu in parse_cpulist(self.wish.gpu_cpus.get(gpu, ""))}
        chosen = choose_cpus(count, os.sched_getaffinity(0), memory_domains(), taken_cpus(leases), near)
        return {"cpu_ids": cpulist_text(chosen)}


def find_limits() -> "NodeLimits | None":
    """The limits of users and groups, if root has set any here. `RefusedError` if they cannot be told."""
    path = os.environb.get(b"CLBALANCE_LIMITS") or LIMITS
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # the reader tells more of it
    from clbalance.node.agent.lease.limits_file import NodeLimits

    return NodeLimits(path)


def lock_node(base: bytes, until: float, tie: int) -> int:
    """A descriptor that holds the node's lock until it is closed. The folder is root's: nobody can replace it.

    `RefusedError` if another process holds the lock until `until`, or the other end of `tie` was closed.
    """
    fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    hung_up = select.poll()
    hung_up.register(tie, 0)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    from clbalance.node.agent.lease.locks import holder_of

                    raise RefusedError("lock", "lock held by %s" % holder_of(fd)) from None
                if hung_up.poll(LOCK_AGAIN_MS):
                    raise RefusedError("cancelled", "the connection to the node ended") from None
            else:
                return fd
    except (RefusedError, OSError):
        os.close(fd)
        raise
