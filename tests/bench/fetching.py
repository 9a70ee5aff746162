"""Files from nodes: one large and many small ones against scp, and the same from several nodes against clush."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from .figure import Aggregate, ratio_figure
from .site import CLBALANCE, CLUSH, Site, WrongRunError

_LARGE_BYTES = 200_000_000
_SMALL = 2000
_SMALL_BYTES = 4096
_NODES = 8


def fetch(site: Site) -> Iterator[Aggregate]:
    """Each run into an empty folder. The nodes share the disk with the client."""
    source, target = site.folder / "source", site.folder / "target"
    (source / "small").mkdir(parents=True)
    (source / "large").write_bytes(os.urandom(_LARGE_BYTES))
    for number in range(_SMALL):
        (source / "small" / f"file-{number:04}").write_bytes(os.urandom(_SMALL_BYTES))

    def emptied() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()

    with site.lab("fetch", _NODES, gpus=0) as lab:
        env = site.environment(lab)
        scp = ["scp", "-q", "-r", "-F", str(lab.ssh_config)]
        for name, limit, which in (("large", 1.3, "200 MB"), ("small", 0.8, "2,000 files of 4 KiB")):
            ours = [CLBALANCE, "fetch", "-q", "-w", "node1", str(source / name), str(target)]
            theirs = [*scp, f"node1:{source / name}", str(target)]
            runs = site.interleaved(ours, theirs, env, before=emptied)
            yield ratio_figure(f"fetch {which}", *runs, limit=limit, note="scp -r")
        for name, which in (("large", "200 MB"), ("small", "2,000 files of 4 KiB")):
            nodes = f"node[1-{_NODES}]"
            ours = [CLBALANCE, "fetch", "-q", "-w", nodes, str(source / name), str(target)]
            theirs = [CLUSH, "-w", nodes, "--rcopy", str(source / name), "--dest", str(target)]
            runs = site.interleaved(ours, theirs, env, before=emptied, pairs=max(1, site.pairs // 2))
            _check(target, name)
            yield ratio_figure(f"fetch {which} from {_NODES} nodes", *runs, limit=1.1, note="clush --rcopy")


def _check(target: Path, name: str) -> None:
    if len(list(target.glob(f"{name}.node*"))) != _NODES:
        raise WrongRunError(f"of {_NODES} nodes not all were fetched: {os.listdir(target)}")
