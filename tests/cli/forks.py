"""A Python that has imported the package, and forks for every call: to start one anew takes a third of a second.

What is called is a process of its own all the same, with its own arguments, environment, folder, descriptors, signals
and end. Only what Python reads before our first line is shared; a call that differs there is started anew, and so is
every call where CLBALANCE_FRESH_STARTS is set. What start-up itself promises is tested without this.
"""

import atexit
import gc
import math
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
from dataclasses import is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from clbalance.node import agent_source
from tests.leftovers import marked

_ASKED_BYTES = 100_000  # one packet; what is longer is started anew, and so is what would fill the pipe of its input
_INPUT_BYTES = 32_768
_CHUNK = 65_536
_SHARED = ("PYTHON", "LC_", "LANG", "TZ")
"""Beginnings of the variables that Python reads before our first line."""
_MAIN = {"clbalance": "clbalance.__main__"}
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
        self._process.communicate(timeout=60.0)

    def start(self, words: Sequence[str], *, stdin: bytes | None, env: Mapping[str, str], cwd: Path) -> "Started":
        """Begin a call of the module and with the arguments that `words` name. `stdin`: None is `/dev/null`."""
        with ExitStack() as given:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            given.callback(theirs.close)
            their_in = os.open(os.devnull, os.O_RDONLY) if stdin is None else _pipe_with(stdin)
            outlet, their_out = os.pipe()
            errlet, their_err = os.pipe()
            for end in (their_in, their_out, their_err):
                given.callback(os.close, end)
            asked = pickle.dumps((list(words), dict(env), cwd))
            socket.send_fds(self._socket, [asked], [theirs.fileno(), their_in, their_out, their_err])
        pid = pickle.loads(ours.recv(_CHUNK))
        return Started(words, pid, ours, outlet, errlet)


class Started:
    """A call that goes on; what tests ask of a `subprocess.Popen`."""

    def __init__(self, args: Sequence[str], pid: int, message: socket.socket, outlet: int, errlet: int) -> None:
        self.args = list(args)
        self.pid = pid
        self.returncode: int | None = None
        self.stdout = os.fdopen(outlet, "rb")
        self.stderr = os.fdopen(errlet, "rb")
        self._told = message

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = int(pickle.loads(self._told.recv(_CHUNK)))
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
            self._told.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[bytes, bytes]:
        give_up_at = math.inf if timeout is None else time.monotonic() + timeout
        pipes = {pipe.fileno(): pipe for pipe in (self.stdout, self.stderr) if not pipe.closed}
        try:
            parsed = _read_all(list(pipes), give_up_at)
        except TimeoutError:
            raise subprocess.TimeoutExpired(self.args, timeout or 0.0) from None
        self.wait(_left_s(give_up_at))
        for pipe in pipes.values():
            pipe.close()
        of_pipe = {pipe: parsed[fd] for fd, pipe in pipes.items()}
        return of_pipe.get(self.stdout, b""), of_pipe.get(self.stderr, b"")

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        for one in (self.stdout, self.stderr, self._told):
            one.close()


def _pipe_with(text: bytes) -> int:
    """The reading end of a pipe that has it all, and nobody at its other end."""
    outlet, inlet = os.pipe()
    os.write(inlet, text)
    os.close(inlet)
    return outlet


_forks: dict[tuple[tuple[str, str], ...], Forks] = {}
_one_at_a_time = threading.Lock()


def run(
    argv: Sequence[str], *, stdin: bytes, env: Mapping[str, str], cwd: Path, timeout: float
) -> "subprocess.CompletedProcess[bytes]":
    """`python -m MODULE ...` to its end, as `subprocess.run` gives it."""
    if _is_anew(argv, env) or len(stdin) > _INPUT_BYTES:
        return subprocess.run(list(argv), input=stdin, capture_output=True, env=dict(env), cwd=cwd, timeout=timeout)  # noqa: PLW1510
    child = _server(env).start(argv[2:], stdin=stdin, env=env, cwd=cwd)
    try:
        out, err = child.communicate(timeout)
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    finally:
        child.close()
    assert child.returncode is not None
    return subprocess.CompletedProcess(list(argv), child.returncode, out, err)


def start(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path) -> "subprocess.Popen[bytes] | Started":
    """`python -m MODULE ...`, left running, with nothing on its standard input."""
    if _is_anew(argv, env):
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(list(argv), env=dict(env), cwd=cwd, **pipes)  # type: ignore[call-overload,no-any-return]  # by name
    return _server(env).start(argv[2:], stdin=None, env=env, cwd=cwd)


def _is_anew(argv: Sequence[str], env: Mapping[str, str]) -> bool:
    size = sum(map(len, argv)) + sum(len(name) + len(text) for name, text in env.items())
    return bool(os.environ.get("CLBALANCE_FRESH_STARTS")) or size > _ASKED_BYTES


def _server(env: Mapping[str, str]) -> Forks:
    shared = {name: text for name, text in env.items() if name.startswith(_SHARED)}
    key = tuple(sorted(shared.items()))
    with _one_at_a_time:
        if key not in _forks:
            _forks[key] = Forks(shared)
    return _forks[key]


def _read_all(pipes: Sequence[int], give_up_at: float) -> dict[int, bytes]:
    """What comes out of each until nobody holds its other end; `TimeoutError` if that takes too long."""
    parsed = {pipe: bytearray() for pipe in pipes}
    is_open = set(pipes)
    while is_open:
        ready, _, _ = select.select(list(is_open), [], [], _left_s(give_up_at))
        if not ready:
            raise TimeoutError
        for pipe in ready:
            chunk = os.read(pipe, _CHUNK)
            parsed[pipe] += chunk
            if not chunk:
                is_open.remove(pipe)
    return {pipe: bytes(text) for pipe, text in parsed.items()}


def _left_s(give_up_at: float) -> float | None:
    return None if give_up_at == math.inf else max(0.0, give_up_at - time.monotonic())


# -- the side that forks -----------------------------------------------------------------------------


def _import_all() -> None:
    for name in _PRELOADED:
        package = import_module(f"clbalance.{name}")
        for found in pkgutil.walk_packages(package.__path__, f"clbalance.{name}."):
            import_module(found.name)
    agent_source()  # packs the agent, which is the same for every call
    _write_inits()


def _write_inits() -> None:
    """Of all dataclasses of ours, each of which is else written when its first instance is made: in every call again."""
    for module in [module for name, module in sys.modules.items() if name.startswith("clbalance.")]:
        for found in vars(module).values():
            if isinstance(found, type) and is_dataclass(found) and found.__module__ == module.__name__:
                with suppress(Exception):  # it lacks what it is made of, but has been written
                    found.__new__(found).__init__()  # type: ignore[misc]


def _serve(asking: socket.socket) -> list[str]:
    """Returns in a child only: its module and its arguments."""
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
    module, *arguments = _serve(asking)
    called: Any = import_module(_MAIN.get(module, module))
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
