"""Files to nodes: one large and many small ones against scp, to several nodes against clush, and both of our ways."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault

from .figure import Aggregate, ratio_figure
from .site import CLBALANCE, CLUSH, Site, WrongRunError

_LARGE_BYTES = 200_000_000
_SMALL = 2000
_SMALL_BYTES = 4096
_NODES = 8
_ALL = f"node[1-{_NODES}]"
_KINDS = {"large": ("200 MB", 1.3), "small": ("2,000 files of 4 KiB", 0.8)}


def copy(site: Site) -> Iterator[Aggregate]:
    """Each run into empty homes. The nodes share processors and disk with the client."""
    source = _source(site.folder / "copied")
    with site.lab("copy", _NODES, gpus=0) as lab:
        env, emptied = site.environment(lab), _emptied(lab)
        scp = ["scp", "-q", "-r", "-F", str(lab.ssh_config)]
        for name, (which, limit) in _KINDS.items():
            ours = [CLBALANCE, "copy", "-q", "-w", "node1", str(source / name), "."]
            runs = site.interleaved(ours, [*scp, str(source / name), "node1:"], env, before=emptied)
            yield ratio_figure(f"copy {which}", *runs, limit=limit, note="scp -r")
        for name, (which, _) in _KINDS.items():
            ours = [CLBALANCE, "copy", "-q", "-w", _ALL, str(source / name), "."]
            theirs = [CLUSH, "-w", _ALL, "--copy", str(source / name), "--dest", "."]
            runs = site.interleaved(ours, theirs, env, before=emptied, pairs=max(1, site.pairs // 2))
            _check(lab, name)
            yield ratio_figure(f"copy {which} to {_NODES} nodes", *runs, limit=1.1, note="clush --copy")
        lab.node("node1").boot(Fault(without=("python3",)))
        for name, (which, _) in _KINDS.items():
            ours = [CLBALANCE, "copy", "-q", "-w", "node1", str(source / name), "."]
            runs = site.interleaved(ours, [*scp, str(source / name), "node1:"], env, before=emptied, pairs=3)
            yield ratio_figure(f"copy {which} by SFTP, without python3", *runs, note="scp -r")


def _source(folder: Path) -> Path:
    (folder / "small").mkdir(parents=True)
    (folder / "large").write_bytes(os.urandom(_LARGE_BYTES))
    for number in range(_SMALL):
        (folder / "small" / f"file-{number:04}").write_bytes(os.urandom(_SMALL_BYTES))
    return folder


def _emptied(lab: Lab) -> Callable[[], None]:
    homes = [node.folder.home("root") for node in lab.nodes]

    def empty() -> None:
        for home in homes:
            shutil.rmtree(home / "small", ignore_errors=True)
            (home / "large").unlink(missing_ok=True)

    return empty


def _check(lab: Lab, name: str) -> None:
    there = [node.folder.home("root") / name for node in lab.nodes]
    if not all(place.exists() for place in there):
        raise WrongRunError(f"not on all of {_NODES} nodes")
