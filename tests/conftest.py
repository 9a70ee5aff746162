"""Labs for tests: one of eight nodes per worker, whole again after every test, and fresh ones on demand.

A test that uses one is marked `sshd`. Without an OpenSSH server it is skipped, except where CI is set: there a
suite that did not run must not look like one that passed.
"""

import gc
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from clbalance.errors import LabError
from clbalance.lab.cluster import Lab
from clbalance.lab.config_files import find_programs
from clbalance.lab.node import LabNode
from clbalance.lab.spec import LabSpec, LabUser

from . import leftovers, surroundings
from .lab_restore import restore

NewLab = Callable[[LabSpec], Lab]

settings.register_profile("same", deadline=None, derandomize=True)
"""The same examples in each run, so that a change is to blame for a failure; `make soak` looks for new ones."""
settings.load_profile("same")
if _examples := int(os.environ.get("CLBALANCE_EXAMPLES", "0")):  # the full measure is 10000
    settings.register_profile(
        "thorough",
        deadline=None,
        derandomize=False,
        max_examples=_examples,
        suppress_health_check=list(HealthCheck),
    )
    settings.load_profile("thorough")
if _examples or int(os.environ.get("CLBALANCE_SOAK", "0")):
    os.environ.setdefault("PYTEST_TIMEOUT", "0")  # they take as long as they are many

_FIXTURES = {"lab", "lab_env", "new_lab"}
_SHELLS = {
    "alice": "/bin/sh",
    "bob": "/bin/bash",
    "cshuser": "/bin/csh",
    "tcshuser": "/bin/tcsh",
    "fishuser": "/usr/bin/fish",
    "nologinuser": "/usr/sbin/nologin",
}
_GOLDEN = Path(__file__).parent / "golden"
LAB_USERS = tuple(
    LabUser(name=name, uid=2001 + number, shell=shell)
    for number, (name, shell) in enumerate(_SHELLS.items())
    if Path(shell).exists()
)
"""Who can log in to `lab` beside the caller, where the tests run as root."""


_SECONDS = {"minute": 60.0, "soak": 6.0, "sshd": 1.0, "hypothesis": 0.5}
"""About what a test takes that has such a mark, on an idle machine."""
_IN_FOLDER = {"guide": 4.0, "node": 0.5}
"""The same of those without a mark; others take next to nothing."""


def _seconds(item: pytest.Item) -> float:
    here = Path(__file__).parent
    unmarked = next((seconds for name, seconds in _IN_FOLDER.items() if item.path.is_relative_to(here / name)), 0.05)
    return max([_SECONDS[mark.name] for mark in item.iter_markers() if mark.name in _SECONDS] or [unmarked])


def pytest_configure(config: pytest.Config) -> None:
    surroundings.make_plain()
    leftovers.mark_this_run()
    if not hasattr(config, "workerinput"):
        leftovers.end_leftovers()


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        leftovers.end_own()


@pytest.fixture(scope="session", autouse=True)
def _marked_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Labs below `tmp_path` are found by the next run, should this one be broken."""
    leftovers.mark_folder(tmp_path_factory.getbasetemp())


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays: to look for garbage in it, meanwhile and later, takes a third of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.sshd)
    # Files that take longest are begun first, or one worker is left with them at the end.
    of_file: defaultdict[Path, float] = defaultdict(float)
    for item in items:
        of_file[item.path] += _seconds(item)
    items.sort(key=lambda item: (-of_file[item.path], item.path))  # stable: a file's own order is kept


@pytest.fixture(scope="session")
def openssh() -> None:
    """OpenSSH is installed; where it is not, the test is skipped, or fails in CI."""
    try:
        find_programs()
    except LabError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{error.message}: {error.hint}", pytrace=False)
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def _lab_of_this_worker(openssh: None) -> Iterator[Lab]:
    users = LAB_USERS if os.getuid() == 0 and _can_have_users() else ()
    with ExitStack() as stack:
        yield bring_up(stack, LabSpec(nodes=8, users=users, tied=True))


def _can_have_users() -> bool:
    from clbalance.lab.build import namespaces_work

    return namespaces_work()


def bring_up(stack: ExitStack, spec: LabSpec) -> Lab:
    """A lab that ends with `stack`."""
    folder = leftovers.lab_folder()
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return stack.enter_context(Lab.up(folder / "lab", spec))


@pytest.fixture
def lab(_lab_of_this_worker: Lab) -> Iterator[Lab]:
    """Eight nodes, up and idle. A test may load, hang, kill and boot them as it likes."""
    # A node that was halted serves connections late, and sees then that their other end is gone.
    until = time.monotonic() + 60
    while left := [line for node in _lab_of_this_worker.nodes for line in left_on(node)]:
        assert time.monotonic() < until, f"an earlier test has left something: {left}"
        time.sleep(0.1)
        restore(_lab_of_this_worker)
    yield _lab_of_this_worker
    restore(_lab_of_this_worker)


def left_on(node: LabNode) -> list[str]:
    """What is on a node beside its init and its sshd, a line each."""
    processes = [f"{node.name}: {shown(pid)}" for pid in node.processes()[2:]]
    return processes + [f"{node.name}: {file.name}" for file in node.folder.var.iterdir()]


def shown(pid: int) -> str:
    try:
        return f"{pid} {Path(f'/proc/{pid}/cmdline').read_bytes().replace(bytes(1), b' ').decode(errors='replace')}"
    except OSError:
        return f"{pid}, which is gone by now"


@pytest.fixture
def new_lab(openssh: None) -> Iterator[NewLab]:
    """Brings up a lab of the test's own; it ends with the test."""
    with ExitStack() as stack:
        yield lambda spec: bring_up(stack, spec)


@pytest.fixture
def lab_env(lab: Lab, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A whole environment for programs that are to see `lab`, and nothing of the caller's configuration."""
    yield environment_of(lab, tmp_path)
    # Before the nodes are cleaned: who keeps a job in the background would start it on them again.
    leftovers.end_those_in(tmp_path)


def environment_of(lab: Lab, folder: Path) -> dict[str, str]:
    """The same for any lab, with home and state in `folder`."""
    home = folder / "home"
    home.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {
        "LANG": "C.UTF-8",
        **lab.environment({"PATH": path}),
        "CLBALANCE_CONTROL_PERSIST": "off",  # as for root, whoever runs the tests: nothing is left behind
        "CLBALANCE_STATE_DIR": str(folder / "state"),
        # A node that is only slow is neither silent nor late. A test of one that hangs says for how long it is awaited.
        "CLBALANCE_CONNECT_TIMEOUT": "20",
        "CLBALANCE_PROBE_TIMEOUT": "20",
        "CLBALANCE_GRACE_S": "60",
        "HOME": str(home),
    }


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    """Compares text with tests/golden to the letter; `CLBALANCE_BLESS=1 pytest` renews what the tests that run check."""

    def check(name: str, text: str) -> None:
        file = _GOLDEN / name
        if os.environ.get("CLBALANCE_BLESS"):
            file.write_text(text)
        assert file.exists(), f"no golden {name}: CLBALANCE_BLESS=1 pytest makes it"
        assert text == file.read_text()

    return check
