"""Files to nodes and from them: against scp and rsync, of several nodes against clush, and without python3 on the node."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from clbalance.lab.namespaces import Isolation
from clbalance.lab.node import Fault
from clbalance.lab.spec import LabSpec

from .question import Peer, Question
from .site import Place, WrongRunError

_LARGE_BYTES = 200_000_000
_SMALL = 2000
_SMALL_BYTES = 4096
_NODES = 8
_ALL = f"node[1-{_NODES}]"
_LAB = LabSpec(nodes=_NODES, gpus=0, tied=True)
_KINDS = (("large", "200 MB", 1.3), ("small", "2,000 files of 4 KiB", 0.8))
"""File or folder, what it is, and how long ours may take in times of scp."""
_WITHOUT_PYTHON = Fault(without=("python3",))


def _files(name: str, fault: Fault | None = None) -> Callable[[Place], AbstractContextManager[None]]:
    @contextmanager
    def files(place: Place) -> Iterator[None]:
        """The source `large` or `small`; afterwards nothing is left of it."""
        if place.cluster.record.isolation is not Isolation.NAMESPACES:
            raise WrongRunError("the lab's nodes have no homes of their own here, only under root or user namespaces")
        _make(place.folder / name)
        if fault is not None:
            place.cluster.node("node1").boot(fault)
        try:
            yield
        finally:
            empty(place)
            _remove(place.folder / name)
            if fault is not None:
                place.cluster.node("node1").boot()

    return files


def _make(source: Path) -> None:
    if source.name == "large":
        source.write_bytes(os.urandom(_LARGE_BYTES))
        return
    source.mkdir()
    for number in range(_SMALL):
        (source / f"file-{number:04}").write_bytes(os.urandom(_SMALL_BYTES))


def empty(place: Place) -> None:
    """Homes on the nodes and the folder `target` here, so that each call begins alike. Nobody waits for others' writes."""
    user = place.cluster.record.user
    for folder in (*(node.folder.home(user) for node in place.cluster.nodes), place.folder / "target"):
        folder.mkdir(exist_ok=True)
        for name, *_ in _KINDS:
            for found in folder.glob(f"{name}*"):
                _remove(found)
    os.sync()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


_asked = partial(Question, lab=_LAB, before=empty)


def _to_nodes(name: str, words: str, limit: float) -> Iterator[Question]:
    scp = f"scp -q -r {{folder}}/{name} node1:"
    ours = f"clbalance copy -q -w node1 {{folder}}/{name} ."
    peers = (Peer("scp", scp, limit=limit), Peer("rsync", f"rsync -a {{folder}}/{name} node1:"))
    yield _asked(f"copy-{name}", f"copy {words} to a node", ours, peers, around=_files(name))
    yield _asked(
        f"copy-{name}-all",
        f"copy {words} to {_NODES} nodes",
        f"clbalance copy -q -w {_ALL} {{folder}}/{name} .",
        (Peer("clush", f"clush -w {_ALL} --copy {{folder}}/{name} --dest .", limit=1.1),),
        rounds=5,
        around=_files(name),
    )
    yield _asked(
        f"copy-{name}-sftp",
        f"copy {words} to a node without python3",
        ours,
        (Peer("scp", scp),),
        rounds=3,
        around=_files(name, _WITHOUT_PYTHON),
    )


def _from_nodes(name: str, words: str, limit: float) -> Iterator[Question]:
    source, target = f"{{folder}}/{name}", "{folder}/target"
    peers = (
        Peer("scp", f"scp -q -r node1:{source} {target}", limit=limit),
        Peer("rsync", f"rsync -a node1:{source} {target}"),
    )
    ours = f"clbalance fetch -q -w node1 {source} {target}"
    yield _asked(f"fetch-{name}", f"fetch {words} from a node", ours, peers, around=_files(name))
    yield _asked(
        f"fetch-{name}-all",
        f"fetch {words} from {_NODES} nodes",
        f"clbalance fetch -q -w {_ALL} {source} {target}",
        (Peer("clush", f"clush -w {_ALL} --rcopy {source} --dest {target}", limit=1.1),),
        rounds=5,
        around=_files(name),
    )


QUESTIONS = (
    *(question for kind in _KINDS for question in _to_nodes(*kind)),
    *(question for kind in _KINDS for question in _from_nodes(*kind)),
)
