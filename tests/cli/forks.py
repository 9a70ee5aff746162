"""A Python that has imported the package, and forks for every call: to start one anew takes a third of a second.

What is called is a process of its own all the same, with its own arguments, environment, folder, descriptors, signals
and end. Only what Python reads before our first line is shared; a call that differs there is started anew, and so is
every call where CLBALANCE_FRESH_STARTS is set. What start-up itself promises is tested without this.
"""

import atexit
import gc
import os
import pickle
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from clbalance.engine.agent_wire import bootstrap
from clbalance.node import agent_source
from tests.leftovers import marked

_ASKED_BYTES = 100_000  # one packet; what is longer is started anew, and so is what would fill the pipe of its input
_INPUT_BYTES = 32_768
_CHUNK = 65_536
_SHARED = ("PYTHON", "LC_", "LANG", "TZ")
"""Beginnings of the variables that Python reads before our first line."""
_PRELOADED = ("cli", "engine", "policy", "probe", "render", "settings", "store", "transport")


# -- the caller's side -------------------------------------------------------------------------------


class Forks:
    """One such Python. It ends with whoever has the other end of its socket."""

    def __init__(self, shared: Mapping[str, str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forks", str(theirs.fileno())],
                # Pipes, as its calls will have: Python looks at what it writes to before our first line.
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={"PATH": os.defpath, **marked(), **shared},
                pass_fds=(theirs.fileno(),),
            )
        atexit.register(self.close)

    def close(self) -> None:
        self._socket.close()
        self._process.communicate(timeout=20.0)

    def run(
        self, arguments: Sequence[str], *, stdin: bytes, env: Mapping[str, str], cwd: Path, timeout: float
    ) -> "subprocess.CompletedProcess[bytes]":
        """As `subprocess.run` does, with its output captured."""
        give_up_at = time.monotonic() + timeout
        with ExitStack() as stack:
            inlet, outlet, errlet, ours, pid = self._start(stack, arguments, env, cwd)
            os.write(inlet, stdin)
            os.close(inlet)
            try:
                told = _read_all([outlet, errlet], give_up_at)
                ours.settimeout(max(0.0, give_up_at - time.monotonic()))
                code = pickle.loads(ours.recv(_CHUNK))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout) from None
        return subprocess.CompletedProcess(list(arguments), code, told[outlet], told[errlet])

    def _start(
        self, stack: ExitStack, arguments: Sequence[str], env: Mapping[str, str], cwd: Path
    ) -> tuple[int, int, int, socket.socket, int]:
        ours, theirs = (stack.enter_context(one) for one in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        their_in, inlet = os.pipe()
        outlet, their_out = os.pipe()
        errlet, their_err = os.pipe()
        for ended in (outlet, errlet):
            stack.callback(os.close, ended)
        asked = pickle.dumps((list(arguments), dict(env), cwd))
        socket.send_fds(self._socket, [asked], [theirs.fileno(), their_in, their_out, their_err])
        for given in (their_in, their_out, their_err):
            os.close(given)
        theirs.close()
        return inlet, outlet, errlet, ours, pickle.loads(ours.recv(_CHUNK))


_forks: dict[tuple[tuple[str, str], ...], Forks] = {}
_one_at_a_time = threading.Lock()


def run(
    argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], cwd: Path, timeout: float
) -> "subprocess.CompletedProcess[bytes]":
    """`python -m clbalance ...` to its end, as `subprocess.run` gives it."""
    size = sum(map(len, argv)) + sum(len(name) + len(text) for name, text in env.items())
    if os.environ.get("CLBALANCE_FRESH_STARTS") or size > _ASKED_BYTES or len(stdin) > _INPUT_BYTES:
        return subprocess.run(list(argv), input=stdin, capture_output=True, env=dict(env), cwd=cwd, timeout=timeout)  # noqa: PLW1510
    shared = {name: text for name, text in env.items() if name.startswith(_SHARED)}
    key = tuple(sorted(shared.items()))
    with _one_at_a_time:
        if key not in _forks:
            _forks[key] = Forks(shared)
    return _forks[key].run(argv[3:], stdin=stdin, env=env, cwd=cwd, timeout=timeout)


def _read_all(pipes: Sequence[int], give_up_at: float) -> dict[int, bytes]:
    """What comes out of each until nobody holds its other end; `TimeoutError` if that takes too long."""
    told = {pipe: bytearray() for pipe in pipes}
    is_open = set(pipes)
    while is_open:
        ready, _, _ = select.select(list(is_open), [], [], max(0.0, give_up_at - time.monotonic()))
        if not ready:
            raise TimeoutError
        for pipe in ready:
            chunk = os.read(pipe, _CHUNK)
            told[pipe] += chunk
            if not chunk:
                is_open.remove(pipe)
    return {pipe: bytes(text) for pipe, text in told.items()}


# -- the side that forks -----------------------------------------------------------------------------


def _import_all() -> None:
    for name in _PRELOADED:
        package = import_module(f"clbalance.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"clbalance.{name}."):
            import_module(found.name)
    bootstrap("", agent_source())  # packs the agent, which is the same for every call


def _serve(asking: socket.socket) -> list[str]:
    """Returns in a child only: its arguments."""
    running: dict[int, tuple[int, socket.socket]] = {}  # by descriptor of a child: its pid, and who waits for it
    while True:
        ready, _, _ = select.select([asking, *running], [], [])
        for one in ready:
            if isinstance(one, int):
                pid, waiter = running.pop(one)
                os.close(one)
                with waiter, suppress(OSError):  # nobody waits any more
                    waiter.send(pickle.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
                continue
            asked, fds, _, _ = socket.recv_fds(asking, 2 * _ASKED_BYTES, 4)
            if not asked:
                sys.exit()
            waiter = socket.socket(fileno=fds[0])
            if pid := os.fork():
                for fd in fds[1:]:
                    os.close(fd)
                running[os.pidfd_open(pid)] = pid, waiter
                waiter.send(pickle.dumps(pid))
                continue
            for fd, (_, other) in running.items():
                os.close(fd)
                other.close()
            asking.close()
            waiter.close()
            return _become(*pickle.loads(asked), fds[1:])


def _become(arguments: list[str], env: dict[str, str], cwd: Path, fds: Sequence[int]) -> list[str]:
    for fd, given in enumerate(fds):
        os.dup2(given, fd)
        os.close(given)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.path[0] = str(cwd)
    return arguments


def main() -> NoReturn:
    asking = socket.socket(fileno=int(sys.argv[1]))
    _import_all()
    gc.freeze()
    arguments = _serve(asking)
    called: Any = import_module("clbalance.__main__")
    sys.argv[:] = [called.__file__, *arguments]
    _leave(called.main())


def _leave(code: int) -> NoReturn:
    """As the interpreter ends, but for taking all modules apart: each page of them would be copied first."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
