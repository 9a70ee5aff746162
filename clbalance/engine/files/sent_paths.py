"""The files on this host that travel with a job: what is there, at its submission and when they are sent."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from clbalance.engine.files.values import CopyRequest, Source
from clbalance.model.files import Entry, FileKind, Manifest, parent_of
from clbalance.model.job_files import SentPath
from clbalance.user_files.trees import SourceTree, open_source


def look_at(base: str, name: str) -> SentPath:
    """What is under that name now. `SourceRefusedError` if it cannot be read."""
    with open_source(f"{base.rstrip('/')}/{name}") as tree:
        return _facts(base, name, _entries(tree))


@contextlib.contextmanager
def open_sent(sent: Sequence[SentPath]) -> Iterator[tuple[Mapping[str, tuple[Source, ...]], tuple[SentPath, ...]]]:
    """The sources by the folder on the node that they go to, and what is there now. `SourceRefusedError`."""
    sources: dict[str, list[Source]] = {}
    now = []
    with contextlib.ExitStack() as trees:
        for one in sent:
            tree = trees.enter_context(open_source(one.path))
            found = _entries(tree)
            now.append(_facts(one.base, one.name, found))
            manifest = Manifest.of(found)
            sources.setdefault(parent_of(one.name), []).append(Source(tree=tree, manifest=manifest))
        yield {folder: tuple(some) for folder, some in sources.items()}, tuple(now)


def copy_request(sources: tuple[Source, ...], folder: str) -> CopyRequest:
    """The request that puts these into `folder` on a node. It is made if it is not there."""
    return CopyRequest(sources=sources, destination=f"{folder}/")


def _entries(tree: SourceTree) -> list[Entry]:
    """Files and folders; what is neither is left out."""
    return [one for one in tree.walk() if isinstance(one, Entry)]


def _facts(base: str, name: str, found: Iterable[Entry]) -> SentPath:
    files = [one for one in found if one.kind is FileKind.FILE]
    return SentPath(
        base=base,
        name=name,
        files=len(files),
        size_bytes=sum(one.size for one in files),
        newest_ns=max((one.mtime_ns for one in files), default=0),
    )
