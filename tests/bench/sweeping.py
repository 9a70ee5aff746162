"""Asking many nodes: cold, over connections kept by OpenSSH, with sick nodes among them, and through one throttled sshd."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.transport.sharing.connections import standing, stop_sharing

from .figure import Aggregate, Spread, ratio_figure
from .site import CLBALANCE, CLUSH, Site, WrongRunError, answers, timed

_NODES = 32
_ALL = f"node[1-{_NODES}]"
_HUNG = ("node7", "node23")
_DOWN = ("node12", "node31")
_NAMES = 100  # through one sshd
_UP = {"up", "busy"}


def sweep(site: Site) -> Iterator[Aggregate]:
    """`load` against clush's `cat /proc/loadavg`, each connection made anew.

    Without GPUs, and where every second node has two: their tools, asked on the same two cores here, run on the nodes.
    """
    ours, theirs = [CLBALANCE, "load", "-w", _ALL], [CLUSH, "-b", "-w", _ALL, "cat /proc/loadavg"]
    for gpus, limit, which in ((0, 1.1, ""), (2, None, ", half with GPUs")):
        with site.lab(f"sweep{gpus}", _NODES, gpus=gpus) as lab:
            runs = site.interleaved(ours, theirs, site.environment(lab))
        yield ratio_figure(f"load of {_NODES}, cold{which}", *runs, limit=limit, note="clush: cat /proc/loadavg")


def shared(site: Site) -> Iterator[Aggregate]:
    """The same again within a minute, against clush over ControlMasters that stand. Our own connections are kept."""
    with site.lab("shared", _NODES) as lab:
        sharing = f"-oControlMaster=auto -oControlPersist=120 -oControlPath={site.folder}/mux-%n"
        ours = [CLBALANCE, "load", "-w", _ALL]
        # clush reads its options by configparser, where a per cent sign is two.
        their_options = f"-F {lab.ssh_config} {sharing}".replace("%", "%%")
        theirs = [CLUSH, "-b", "-w", _ALL, "-o", their_options, "cat /proc/loadavg"]
        try:
            env = {**site.environment(lab), "CLBALANCE_CONTROL_PERSIST": "120", "XDG_RUNTIME_DIR": str(site.folder)}
            runs = site.interleaved(ours, theirs, env)
        finally:
            _end_masters(site, lab)
    yield ratio_figure(f"load of {_NODES} again within a minute", *runs, limit=1.2, note="clush: over ControlMaster")


def _end_masters(site: Site, lab: Lab) -> None:
    for path in standing(site.folder / "clbalance-ssh"):
        stop_sharing(path)
    for socket in site.folder.glob("mux-*"):
        subprocess.run(
            ["ssh", f"-oControlPath={socket}", "-O", "exit", socket.name.removeprefix("mux-")],
            env=site.environment(lab),
            stderr=subprocess.DEVNULL,
            check=False,
        )


def sick(site: Site) -> Iterator[Aggregate]:
    """Two of 32 hung and two down: the others' answers come within the connect timeout and a second."""
    with site.lab("sick", _NODES) as lab:
        for name in _HUNG:
            lab.node(name).hang()
        for name in _DOWN:
            lab.node(name).kill()
        for timeout_s, repeats in ((3, 5), (10, 3)):
            taken = [_with_sick_nodes(site, lab, timeout_s) for _ in range(repeats)]
            yield Aggregate(
                name=f"load -t {timeout_s}, 2 hung and 2 down of {_NODES}",
                value=max(taken),
                unit="s at most",
                limit=timeout_s + 1.0,
                ours_s=Spread.of(taken),
                note=f"{_NODES - 4} answers each time",
            )


def _with_sick_nodes(site: Site, lab: Lab, timeout_s: int) -> float:
    seconds, nodes = answers([CLBALANCE, "load", "-w", _ALL, "-t", str(timeout_s)], site.environment(lab))
    silent = {node["name"] for node in nodes if node["state"] not in _UP}
    if silent != {*_HUNG, *_DOWN}:
        raise WrongRunError(f"silent: {sorted(silent)}")
    return seconds


def throttled(site: Site) -> Iterator[Aggregate]:
    """A hundred names that are one sshd with its default MaxStartups: all answer in the end."""
    with site.lab("throttled", 1, max_startups="10:30:100") as lab:
        config = _one_node_by_many_names(lab, site.folder / "throttled-config")
        env = {**site.environment(lab), "CLBALANCE_SSH_OPTIONS": f"-F {config}"}
        taken, missing = [], 0
        for _ in range(3):
            seconds, nodes = answers([CLBALANCE, "load", "-w", f"door[1-{_NAMES}]"], env)
            taken.append(seconds)
            missing += sum(node["state"] not in _UP for node in nodes)
        gentle = [timed([CLBALANCE, "load", "-f", "8", "-w", f"door[1-{_NAMES}]"], env).wall_s for _ in range(3)]
    yield Aggregate(
        name=f"load of {_NAMES} through one sshd, MaxStartups 10:30:100",
        value=missing,
        unit="unanswered",
        limit=0,
        ours_s=Spread.of(taken),
        note=f"with -f 8: {Spread.of(gentle)} s",
    )


def _one_node_by_many_names(lab: Lab, path: Path) -> Path:
    path.write_text(lab.ssh_config.read_text().replace("Host node1\n", "Host node1 door*\n"))
    return path
