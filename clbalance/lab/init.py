"""A node's first process (init): runs sshd, reaps orphans and keeps the node's `/proc` files up to date.

`python -m clbalance.lab.init NODE_FOLDER [TIE]` starts the init as a daemon and returns 0 once sshd listens; else it
prints the reason to standard error. TIE is the read end of a pipe. When its other end is closed, the controller is
gone, and the node ends. Standard library only: a lab starts dozens of these at once.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, assert_never

from clbalance.lab import namespaces, processes
from clbalance.lab.layout import NodeConfig, NodeFolder, empty, replace_file
from clbalance.lab.load import IDLE, Counters, Machine, Order, Own, advance, render
from clbalance.lab.namespaces import Isolation

_TICK_S = 1.0
_SSHD_START_S = 15.0
_WAKERS = frozenset({signal.SIGCHLD, signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1})
_KILLED_WITHIN_S = 10.0
# The work of sshd itself (key exchanges) must not count as load. Names before and since OpenSSH 9.8.
_SSHD_NAMES = frozenset({"sshd", "sshd-session", "sshd-auth"})
_REAL_FILES = ("locks", "self", "mounts", "version", "filesystems")
_READY = b"ready"


class Init:
    """The init of a running node. It runs until SIGTERM, the end of the tie or the end of its sshd."""

    def __init__(self, folder: NodeFolder, config: NodeConfig, tie: int | None) -> None:
        self._folder = folder
        self._config = config
        self._tie = tie
        self._order = Order(number=0, load=IDLE)
        self._machine = Machine(
            cpus=config.cpus,
            mem_bytes=config.mem_bytes,
            swap_bytes=config.swap_bytes,
            boot_id=_new_boot_id(),
            booted_at_s=time.time(),
        )
        self._counters = Counters()
        self._counted_at = time.monotonic()
        self._runnable_before: frozenset[int] = frozenset()
        self._shown: dict[str, str] = {}
        self._spinners: list[int] = []
        self._sshd = 0

    def start(self) -> None:
        """Return once `proc` is complete and sshd listens; `OSError` with the end of sshd's log if it does not."""
        self._link_real_files()
        self._obey()
        log = self._folder.sshd_log
        config = self._folder.ssh / "sshd_config"
        self._sshd = self._spawn(
            [self._config.sshd, *self._config.sshd_options, "-D", "-f", str(config), "-E", str(log)]
        )
        give_up_at = time.monotonic() + _SSHD_START_S
        while not self._folder.sshd_pid.exists():
            if os.waitpid(self._sshd, os.WNOHANG)[0] or time.monotonic() > give_up_at:
                parts = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
                raise OSError("sshd does not start: " + ("; ".join(parts) or f"{log} is empty or missing"))
            time.sleep(0.005)
        for service in self._config.services:
            self._spawn(list(service.argv), env=service.env, log=service.log)

    def run(self) -> None:
        """Run until the node ends."""
        next_tick = time.monotonic() + _TICK_S
        while True:
            woken = signal.sigtimedwait(_WAKERS, max(0.0, next_tick - time.monotonic()))
            if woken is not None and woken.si_signo == signal.SIGTERM:
                return
            if woken is not None and woken.si_signo == signal.SIGUSR1:
                if not self._reboot():
                    return
                continue
            if self._reap_sees_sshd_end() or self._is_untied():
                return
            if woken is not None and woken.si_signo == signal.SIGHUP:
                self._obey()
            elif woken is None:
                self._count()
                next_tick = time.monotonic() + _TICK_S

    def _reboot(self) -> bool:
        """End all other processes, stay away for a while, and start again. False: the node stays off."""
        load = self._order.load
        self._sshd = 0
        self._spinners = []
        processes.end_all(self._own_pids, within_s=_KILLED_WITHIN_S)
        if load.reboot == "never" or not self._stays_off(load.reboot_s):
            return False
        empty(self._folder.tmp)
        self._folder.sshd_pid.unlink(missing_ok=True)
        self._folder.sick.unlink(missing_ok=True)
        if load.reboot == "sick":
            self._folder.sick.touch()
        if load.reboot != "same":
            self._machine = replace(self._machine, boot_id=_new_boot_id(), booted_at_s=time.time())
        self._counters = Counters()
        replace_file(self._folder.order, Order(number=self._order.number, load=IDLE).to_json())
        self.start()
        return True

    def _stays_off(self, seconds: float) -> bool:
        """Wait; False if the node is ended meanwhile."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            woken = signal.sigtimedwait(_WAKERS, min(left_s, _TICK_S))
            self._reap_sees_sshd_end()
            if self._is_untied() or (woken is not None and woken.si_signo == signal.SIGTERM):
                return False
        return True

    def _link_real_files(self) -> None:
        for name in _REAL_FILES:
            link = self._folder.proc / name
            link.unlink(missing_ok=True)
            link.symlink_to(Path("/proc") / name)

    def _obey(self) -> None:
        """Apply the ordered load, and reset the load averages of the node's own processes."""
        order = Order.from_json(self._folder.order.read_text())
        self._order = order
        self._counters = replace(self._counters, own_r1m=0.0, own_r5m=0.0, own_r15m=0.0)
        self._runnable_before = frozenset()
        self._settle_spinners(order.load.spin)
        self._count()
        replace_file(self._folder.applied, str(order.number))

    def _settle_spinners(self, wanted: int) -> None:
        while len(self._spinners) > wanted:
            processes.send(self._spinners.pop(), signal.SIGKILL)
        while len(self._spinners) < wanted:
            self._spinners.append(self._spawn(["/bin/sh", "-c", "while :; do :; done"]))

    def _spawn(self, argv: list[str], *, env: Mapping[str, str] = MappingProxyType({}), log: str = "") -> int:
        # The init blocks signals and Python ignores SIGPIPE; the node's programs must inherit neither.
        caught = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        all_env = {"PATH": os.defpath, "CLBALANCE_LAB_NODE": str(self._folder.path), **env}
        appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        output = [(os.POSIX_SPAWN_OPEN, fd, log, appended, 0o644) for fd in (1, 2) if log]
        return os.posix_spawn(argv[0], argv, all_env, file_actions=output, setsigmask=(), setsigdef=caught)

    def _count(self) -> None:
        now = time.monotonic()
        own = self._look_at_own()
        load = self._order.load
        self._counters = advance(self._counters, self._machine, load, own, now - self._counted_at)
        self._counted_at = now
        for name, text in render(self._machine, load, self._counters, own).items():
            if self._shown.get(name) != text:
                replace_file(self._folder.proc / name, text)
                self._shown[name] = text

    def _look_at_own(self) -> Own:
        """Count the node's processes. One is runnable if it was so at two looks in a row: a short probe is no load."""
        pids = self._own_pids()
        runnable = frozenset(
            pid
            for pid in pids
            if (stat := processes.read_stat(pid)) and stat.state in {"R", "D"} and stat.name not in _SSHD_NAMES
        )
        lasting = runnable & self._runnable_before
        self._runnable_before = runnable
        return Own(runnable=len(lasting), total=len(pids) + 1, last_pid=max(pids, default=1))

    def _own_pids(self) -> list[int]:
        if self._config.isolation is Isolation.NAMESPACES:
            return [pid for pid in processes.all_pids() if pid != 1]
        return processes.descendants(os.getpid())

    def _reap_sees_sshd_end(self) -> bool:
        ended = False
        with suppress(ChildProcessError):
            while pid := os.waitpid(-1, os.WNOHANG)[0]:
                ended = ended or pid == self._sshd
        return ended

    def _is_untied(self) -> bool:
        if self._tie is None:
            return False
        with suppress(BlockingIOError):
            return os.read(self._tie, 1) == b""
        return False


def _new_boot_id() -> str:
    return Path("/proc/sys/kernel/random/uuid").read_text().strip()


def _be_init(folder: NodeFolder, config: NodeConfig, ready: int, tie: int | None) -> None:
    """Run the init, in the child process. It reports readiness, or its error, to the launcher by `ready`."""
    try:
        _settle_in(folder, config)
        init = Init(folder, config, tie)
        init.start()
        os.write(ready, _READY)
        os.close(ready)
        init.run()
    except OSError as error:
        with suppress(OSError):  # closed if the node was ready before
            os.write(ready, str(error).encode())
        raise
    finally:
        # With namespaces, the kernel does this when the init ends.
        if config.isolation is Isolation.SUBREAPER:
            processes.end_all(lambda: processes.descendants(os.getpid()), within_s=10.0)


def _settle_in(folder: NodeFolder, config: NodeConfig) -> None:
    os.setsid()
    match config.isolation:
        case Isolation.NAMESPACES:
            namespaces.furnish(folder.name, config.binds)
        case Isolation.SUBREAPER:
            namespaces.become_subreaper()
        case _:
            assert_never(config.isolation)
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAKERS)
    os.umask(0o022)
    os.chdir("/")
    _redirect(folder.init_log)


def _redirect(log: Path) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)
    os.close(null)
    os.close(out)


def launch(folder: NodeFolder, tie: int | None) -> int:
    """Start the init, record its pid, and wait until it is ready. 0, or 1 with the reason on stderr."""
    config = NodeConfig.from_json(folder.config.read_text())
    if tie is not None:
        os.set_blocking(tie, False)
    told, ready = os.pipe()
    if config.isolation is Isolation.NAMESPACES:
        namespaces.enter_namespaces()
    pid = os.fork()
    if pid == 0:
        os.close(told)
        _be_init(folder, config, ready, tie)
        return 0
    os.close(ready)
    process = processes.identify(pid)
    assert process is not None  # our child, not waited for yet
    replace_file(folder.init, json.dumps(asdict(process)))
    with os.fdopen(told, "rb") as pipe:
        answer = pipe.read()
    if answer == _READY:
        return 0
    os.waitpid(pid, 0)
    sys.stderr.write(answer.decode(errors="replace") or f"the init died; see {folder.init_log}")
    return 1


def main() -> NoReturn:
    """Run the launcher."""
    folder = NodeFolder(Path(sys.argv[1]))
    tie = int(sys.argv[2]) if len(sys.argv) > 2 else None
    try:
        sys.exit(launch(folder, tie))
    except OSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
