"""Chromium without a window, driven over a pair of pipes by its DevTools protocol: no driver, no port, no library.

It tells how a page is laid out, what it asked for, and what it complained about.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.leftovers import marked

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_WITHIN_S = 240.0
"""For one answer. A machine that is busy starts a browser slowly; only one that hangs takes this long."""
_OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-proxy-server", "--hide-scrollbars",
)  # fmt: skip


class Page:
    """The one page of a browser."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading, self._writing = reading, writing
        self._buffer = b""
        self._last = 0
        self._session: str | None = None
        self.events: list[tuple[str, dict[str, Any]]] = []
        """All that it has told by itself, by name."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime", "Security"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """The result of a command."""
        self._send(method, parameters)
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, (method, answer)
                return dict(answer["result"])

    def open(self, path: Path, *, width: int, height: int, dark: bool = False) -> None:
        """Load the page anew, as in a window of this size."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(name == "Page.loadEventFired" for name, _ in self.events):
            self._next()

    def value(self, expression: str) -> Any:
        """The value of an expression in the page. The page's own policy does not bind its debugger."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def close(self) -> None:
        """Have the browser end, and tidy up."""
        self._session = None
        self._send("Browser.close", {})

    def told(self, *names: str) -> list[dict[str, Any]]:
        """What it has told of these kinds since the page was opened."""
        return [parameters for name, parameters in self.events if name in names]

    def _send(self, method: str, parameters: Mapping[str, object]) -> None:
        self._last += 1
        message: dict[str, object] = {"id": self._last, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._reading], [], [], _WITHIN_S)[0], "the browser does not answer"
            part = os.read(self._reading, 1 << 16)
            assert part, "the browser has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        if "method" in message:
            self.events.append((message["method"], message.get("params", {})))
        return message


@contextmanager
def browser(home: Path) -> Iterator[Page]:
    """A browser that keeps everything of its own in `home`. The test is skipped where none is installed."""
    program = next((found for name in _NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("Chromium is missing: `scripts/setup test` installs it where it can")
    commands, answers = _pipe(), _pipe()
    argv = [program, *_OPTIONS, f"--user-data-dir={home / 'profile'}", "about:blank"]
    environment = {**os.environ, **marked(), "HOME": str(home)}
    actions = [(os.POSIX_SPAWN_DUP2, commands[0], 3), (os.POSIX_SPAWN_DUP2, answers[1], 4)]
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
    pid = os.posix_spawn(program, argv, environment, file_actions=[*quiet, *actions], setsid=True)
    os.close(commands[0])
    os.close(answers[1])
    try:
        page = Page(answers[0], commands[1])
        yield page
        page.close()
        _await(pid)
    finally:
        os.close(commands[1])
        os.close(answers[0])
        _end(pid)


def _pipe() -> tuple[int, int]:
    """A pipe above the numbers that the browser reads and writes."""
    ends = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends]
    for fd in ends:
        os.close(fd)
    return high[0], high[1]


def _await(pid: int) -> None:
    """Wait until it has ended, without collecting it: its number must stay its own until its group is ended."""
    deadline = time.monotonic() + _WITHIN_S
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None and time.monotonic() < deadline:
        select.select([], [], [], 0.01)


def _end(pid: int) -> None:
    """End what is left of its processes, which are a session of their own, and collect it."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
