"""Asking many nodes: cold, again within a minute, for the best one, with sick nodes among them, and through one throttled sshd."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec

from .figure import Figure, Spread
from .masters import KEPT, SHARED, ends_kept, ends_shared
from .question import Measurement, Peer, Question
from .site import CLBALANCE, Site, WrongRunError, timed

_NODES = 32
_ALL = f"node[1-{_NODES}]"
_HUNG = ("node7", "node23")
_DOWN = ("node12", "node31")
_NAMES = 100  # through one sshd
_UP = {"up", "busy"}
_LOADAVG = f"-w {_ALL} cat /proc/loadavg"
_PLAIN, _HALF_WITH_GPUS = (LabSpec(nodes=_NODES, gpus=gpus, tied=True) for gpus in (0, 2))
# clush reads its options by configparser, where a per cent sign is two.
_OVER_MASTERS = f"clush -b -o '-F {{lab}}/ssh_config {SHARED.replace('%', '%%')}' {_LOADAVG}"


def sick(site: Site) -> Iterator[Figure]:
    """The others' answers come within the connect timeout and a second."""
    with site.lab("sick", _NODES) as lab:
        for name in _HUNG:
            lab.node(name).hang()
        for name in _DOWN:
            lab.node(name).kill()
        for timeout_s, repeats in ((3, 5), (10, 3)):
            taken = [_with_sick_nodes(site, lab, timeout_s) for _ in range(repeats)]
            yield Figure(
                name=f"load -t {timeout_s}, 2 hung and 2 down of {_NODES}",
                value=max(taken),
                unit="s at most",
                limit=timeout_s + 1.0,
                ours_s=Spread.of(taken),
                note=f"{_NODES - 4} answers each time",
            )


def _with_sick_nodes(site: Site, lab: Lab, timeout_s: int) -> float:
    seconds, nodes = _answers([CLBALANCE, "load", "-w", _ALL, "-t", str(timeout_s)], site.environment(lab))
    silent = {node["name"] for node in nodes if node["state"] not in _UP}
    if silent != {*_HUNG, *_DOWN}:
        raise WrongRunError(f"silent: {sorted(silent)}")
    return seconds


def throttled(site: Site) -> Iterator[Figure]:
    """All answer in the end."""
    with site.lab("throttled", 1, max_startups="10:30:100") as lab:
        config = one_node_by_many_names(lab, site.folder / "throttled-config")
        env = {**site.environment(lab), "CLBALANCE_SSH_OPTIONS": f"-F {config}"}
        taken, missing = [], 0
        for _ in range(3):
            seconds, nodes = _answers([CLBALANCE, "load", "-w", f"door[1-{_NAMES}]"], env)
            taken.append(seconds)
            missing += sum(node["state"] not in _UP for node in nodes)
        gentle = [timed([CLBALANCE, "load", "-f", "8", "-w", f"door[1-{_NAMES}]"], env).wall_s for _ in range(3)]
    yield Figure(
        name=f"load of {_NAMES} through one sshd, MaxStartups 10:30:100",
        value=missing,
        unit="unanswered",
        limit=0,
        ours_s=Spread.of(taken),
        note=f"with -f 8: {Spread.of(gentle)} s",
    )


def one_node_by_many_names(lab: Lab, path: Path) -> Path:
    """An ssh_config in which the node has the names `door*`, too."""
    path.write_text(lab.ssh_config.read_text().replace("Host node1\n", "Host node1 door*\n"))
    return path


def _answers(argv: Sequence[str], env: Mapping[str, str]) -> tuple[float, list[dict[str, Any]]]:
    """Seconds, and the nodes, of a `load`."""
    with tempfile.TemporaryFile() as output:
        run = timed([*argv, "--json"], env, output=output)
        output.seek(0)
        return run.wall_s, json.loads(output.read())["nodes"]


QUESTIONS = (
    Question(
        "load",
        f"load of {_NODES} nodes, each connection made anew",
        f"clbalance load -w {_ALL}",
        (Peer("clush", f"clush -b {_LOADAVG}", limit=1.0), Peer("pdsh", f"pdsh -R ssh -f 64 {_LOADAVG}")),
        lab=_PLAIN,
    ),
    Question(
        "load-gpus",
        "the same where every second node has two GPUs, whose tools are asked",
        f"clbalance load -w {_ALL}",
        (Peer("clush", f"clush -b {_LOADAVG}"),),
        lab=_HALF_WITH_GPUS,
    ),
    Question(
        "load-again",
        "load again within a minute, connections kept",
        f"clbalance load -w {_ALL}",
        (Peer("clush", _OVER_MASTERS, limit=1.2, around=ends_shared),),
        lab=_PLAIN,
        environment=KEPT,
        around=ends_kept,
    ),
    Question(
        "pick-again",
        f"pick --pick 1 of {_NODES} again within a minute, connections kept",
        f"clbalance pick --pick 1 -w {_ALL}",
        (Peer("clush", f"sh -c 'clush {_LOADAVG} | sort -k 2n | head -n 1'", limit=0.4),),
        lab=_PLAIN,
        environment=KEPT,
        around=ends_kept,
    ),
)
MEASUREMENTS = (
    Measurement("sick", f"load of {_NODES} nodes of which 2 are hung and 2 are down", sick),
    Measurement("throttled", f"load of {_NAMES} names that are one sshd with its default MaxStartups", throttled),
)
