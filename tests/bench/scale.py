"""100, 1,000 and 5,000 node names on four servers: what each verb takes, and whether it grows with the number of nodes.

One name in a hundred is dead. Names of one server share a connection of ssh's own, so that logins do not hide what the
client does: it still starts an ssh for each name. `load` is called twice, for the first time is another than the next.
"""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault, boot_nodes

from .figure import Figure
from .question import Measurement
from .site import CLBALANCE, Site, WrongRunError

SIZES = (100, 1000, 5000)
_SERVERS = 4
_DEAD = 100  # one name in so many
_TIMES = 5.5  # that 5,000 names may take of 1,000
_MOST_MIB = 250.0
_VERBS = ("load", "load", "pick", "run -- true", "jobs")
_SAMPLED_S = 0.05
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one call."""

    wall_s: float
    own_s: float
    """Processor time of the client itself."""
    all_s: float
    """With the ssh that it started."""
    peak_mib: float
    files: int
    """Open at once."""
    logins: int


def scale(site: Site, sizes: Sequence[int] = SIZES) -> Iterator[Figure]:
    """The costs by verb and size, and the growth from 1,000 to 5,000."""
    with site.lab("scale", _SERVERS) as lab:
        boot_nodes(lab.nodes, Fault(sshd_options={"MaxSessions": "10000"}))
        with _names(lab, site.folder / "scale-ssh") as config:
            own: dict[tuple[int, int], float] = {}
            for size in sizes:
                env = _environment(site, lab, config, size)
                for at, verb in enumerate(_VERBS):
                    cost = _cost(lab, _argv(verb, size), env)
                    own[at, size] = cost.own_s
                    yield _figure(f"{verb}{' again' * (at == 1)}, {size} names", cost)
    for at, verb in enumerate(_VERBS):
        if (few := own.get((at, 1000))) and (many := own.get((at, 5000))):
            name = f"{verb}{' again' * (at == 1)}: processor time of the client, 5000 names against 1000"
            yield Figure(name=name, value=many / few, unit="times", limit=_TIMES)


def _figure(name: str, cost: Cost) -> Figure:
    return Figure(
        name=name,
        value=cost.peak_mib,
        unit="MiB at most",
        limit=_MOST_MIB,
        note=f"{cost.wall_s:.1f} s; processor time {cost.own_s:.2f} s, with ssh {cost.all_s:.1f} s;"
        f" {cost.files} open files, {cost.logins} logins",
    )


def _argv(verb: str, size: int) -> list[str]:
    dead = size // _DEAD
    word, *rest = shlex.split(verb)
    return [CLBALANCE, word, "-w", f"n[1-{size - dead}],dead[1-{dead}]", *rest]


def _environment(site: Site, lab: Lab, config: Path, size: int) -> dict[str, str]:
    env = site.environment(lab)
    state = site.folder / f"scale-state-{size}"
    return {**env, "CLBALANCE_SSH_OPTIONS": f"-F {config}", "CLBALANCE_STATE_DIR": str(state)}


@contextmanager
def _names(lab: Lab, folder: Path) -> Iterator[Path]:
    """An ssh_config in which each server has a share of the names, by their last digits; its connections end after."""
    folder.mkdir()
    text = lab.ssh_config.read_text()
    for number in range(_SERVERS):
        names = " ".join(f"n*{digit}" for digit in range(number, 10, _SERVERS))
        text = text.replace(f"Host node{number + 1}\n", f"Host node{number + 1} {names}\n")
    shared = f"    ControlMaster auto\n    ControlPath {folder}/%h\n    ControlPersist 600\n"
    text = text.replace("Host node1 node2 ", "Host dead* n* node1 node2 ").replace("    User ", f"{shared}    User ", 1)
    config = folder / "config"
    dead = "Host dead*\n    HostName 127.0.0.1\n    Port 9\n    ControlPath none\n"  # ssh takes the first value
    config.write_text(text.replace("Host node1", f"{dead}Host node1", 1))
    try:
        yield config
    finally:
        for node in lab.nodes:
            subprocess.run(["ssh", "-F", config, "-O", "exit", node.name], stderr=subprocess.DEVNULL, check=False)


def _cost(lab: Lab, argv: Sequence[str], env: Mapping[str, str]) -> Cost:
    before, began = _logins(lab), time.perf_counter()
    client = subprocess.Popen(
        argv, env=dict(env), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    proc = Path(f"/proc/{client.pid}")
    own_s = peak_mib = 0.0
    files = 0
    while os.waitid(os.P_PID, client.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        with suppress(OSError, LookupError, ValueError):  # it has just ended
            files = max(files, len(os.listdir(proc / "fd")))
            fields = (proc / "stat").read_text().rpartition(")")[2].split()
            own_s = (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
            status = dict(line.split(":", 1) for line in (proc / "status").read_text().splitlines())
            peak_mib = int(status["VmHWM"].split()[0]) / 1024
        time.sleep(_SAMPLED_S)
    _, code, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(code)
    if client.returncode not in (0, 4):
        raise WrongRunError(f"{' '.join(argv)[:100]}: exit code {client.returncode}")
    return Cost(
        wall_s=time.perf_counter() - began,
        own_s=own_s,
        all_s=usage.ru_utime + usage.ru_stime,
        peak_mib=peak_mib,
        files=files,
        logins=_logins(lab) - before,
    )


def _logins(lab: Lab) -> int:
    return sum(node.folder.sshd_log.read_text(errors="replace").count("Accepted publickey") for node in lab.nodes)


MEASUREMENTS = (Measurement("scale", "5,000 names on four servers: time, memory, files, logins, growth", scale),)
