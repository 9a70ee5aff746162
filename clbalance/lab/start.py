"""Starts the inits of many nodes at once; and the lab's own folder."""

import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import clbalance
from clbalance.errors import LabError, UsageError
from clbalance.lab import nvidia_smi, processes
from clbalance.lab.config_files import SYSTEM_PATH
from clbalance.lab.layout import NodeFolder, empty, remove_entry, replace_file
from clbalance.lab.load import IDLE, Load, Order
from clbalance.lab.processes import ProcessId

_BOOT_S = 60.0
_APPLY_S = 10.0
_POLL_S = 0.002


def lay_out_boot(node: NodeFolder, sshd_config: str, gpus: int) -> None:
    """Prepare a node's folder for a boot: sshd_config, an idle load, an empty temporary folder."""
    (node.ssh / "sshd_config").write_text(sshd_config)
    empty(node.tmp)
    empty(node.init.parent)
    write_order(node, gpus, IDLE)


def write_order(node: NodeFolder, gpus: int, load: Load) -> int:
    """Write the load that the node is to show. The number of the order."""
    number = time.monotonic_ns()
    replace_file(node.order, Order(number=number, load=load).to_json())
    if gpus:
        nvidia_smi.write_tables(node, gpus, load)
    return number


def launch(nodes: Sequence[NodeFolder], tie: int | None) -> None:
    """Start the init of every node. `LabError` names those that did not come up; the others go on."""
    launchers = [(node, _launcher(node, tie)) for node in nodes]
    give_up_at = time.monotonic() + _BOOT_S
    failed = []
    for node, launcher in launchers:
        try:
            _, text = launcher.communicate(timeout=max(0.1, give_up_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            launcher.kill()
            _, text = launcher.communicate()
            text += f"not up within {_BOOT_S:g} s"
        if launcher.returncode != 0:
            failed.append(f"{node.name}: {text.strip()}")
    if failed:
        raise LabError("nodes that do not come up: " + "; ".join(failed))


def _launcher(node: NodeFolder, tie: int | None) -> subprocess.Popen[str]:
    argv = [sys.executable, "-S", "-m", "clbalance.lab.init", str(node.path)]
    return subprocess.Popen(
        argv if tie is None else [*argv, str(tie)],
        # Without `site` (-S) a start takes half the time. PYTHONPATH is then needed for our package.
        env={
            "PYTHONPATH": str(Path(clbalance.__file__).parent.parent),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PATH": "/usr/bin:/bin",
            "CLBALANCE_LAB_NODE": str(node.path),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=() if tie is None else (tie,),
        text=True,
    )


def await_orders(orders: Iterable[tuple[NodeFolder, ProcessId, int]]) -> None:
    """Wake the inits; return when each shows the order of that number or has ended. `LabError` if one does not."""
    waiting = list(orders)
    for _, init, _ in waiting:
        processes.send(init.pid, signal.SIGHUP)
    give_up_at = time.monotonic() + _APPLY_S
    for node, init, number in waiting:
        while int(node.applied.read_text()) < number and _runs(init):
            if time.monotonic() > give_up_at:
                raise LabError(f"{node.name} does not take its load", hint=f"see {node.init_log}")
            time.sleep(_POLL_S)


def _runs(init: ProcessId) -> bool:
    """Whether the init runs. A stopped one applies its order when it is thawed."""
    stat = processes.stat_of(init)
    return stat is not None and not stat.is_stopped


def path_without(node: NodeFolder, programs: Sequence[str]) -> Path:
    """Make a folder of links to all programs on the system's PATH except these."""
    links = node.path / "programs"
    links.mkdir(exist_ok=True)
    empty(links)
    # Reversed, so that the first folder on the PATH wins.
    found = {
        program.name: program
        for place in reversed(SYSTEM_PATH.split(":"))
        if (folder := Path(place)).is_dir()
        for program in folder.iterdir()
    }
    for name, program in found.items():
        if name not in programs:
            (links / name).symlink_to(program)
    return links


# The lab's own folder: its default place, its owner, its removal (never of other folders).

# The path goes into files of ssh, sshd and shells, each with its own rules for quoting and `%`.
_SAFE_PATH = re.compile(r"/[A-Za-z0-9._/+@=,-]*")
RECORD = "lab.json"


def default_directory(environ: Mapping[str, str]) -> Path:
    """$CLBALANCE_LAB_DIR, else a folder of this user's below $XDG_RUNTIME_DIR or /tmp."""
    if named := environ.get("CLBALANCE_LAB_DIR"):
        return Path(named)
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "clbalance-lab"
    return Path(f"/tmp/clbalance-lab-{os.getuid()}")  # noqa: S108 - made 0700, or its owner checked


def absolute(directory: Path) -> Path:
    """The absolute path; `UsageError` if it has characters that not every file of a lab can hold."""
    path = Path(os.path.abspath(directory))  # noqa: PTH100 - resolve() would follow the link that is refused
    if not _SAFE_PATH.fullmatch(str(path)):
        raise UsageError(
            f"{str(path)!r} cannot hold a lab", hint="a path of letters, digits and `. _ / + @ = , -`: `--dir`"
        )
    return path


def make(directory: Path, mode: int) -> None:
    """Make the lab's folder; an empty one of ours may exist. Else `LabError`."""
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        check_ours(directory)
        if (directory / RECORD).exists():
            raise LabError(
                f"a lab is already up in {directory}", hint="`clbalance lab down`, or another `--dir`"
            ) from None
        if any(directory.iterdir()):
            raise LabError(
                f"{directory} is not empty and not a lab", hint="name an empty or new folder: `--dir`"
            ) from None
    except OSError as error:
        raise LabError(f"cannot make {directory}: {error.strerror}", hint="name another: `--dir`") from error
    directory.chmod(mode)


def check_ours(directory: Path) -> None:
    """Raise `LabError` unless it is a folder, no link, of this user, and nobody else may write to it."""
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise LabError(f"{directory} is not a folder", hint="name another: `--dir`")
    if found.st_uid != os.getuid():
        raise LabError(f"{directory} belongs to uid {found.st_uid}", hint="name another: `--dir`")
    if found.st_mode & 0o022:
        raise LabError(f"others may write to {directory}", hint=f"`chmod go-w {directory}`")


def is_lab(directory: Path) -> bool:
    """Whether a lab, complete or not, is there; `LabError` if it is something else."""
    if not os.path.lexists(directory):
        return False
    check_ours(directory)
    if (directory / RECORD).exists():
        return True
    if any(directory.iterdir()):
        raise LabError(f"{directory} is not a lab", hint="name the folder that `lab up` was given: `--dir`")
    return False


def remove(directory: Path) -> None:
    """Remove a lab's folder. The record goes last, so that after an interruption the rest still counts as a lab."""
    for entry in directory.iterdir():
        if entry.name != RECORD:
            remove_entry(entry)
    (directory / RECORD).unlink(missing_ok=True)
    directory.rmdir()
