"""Carry out `copy`: read the sources, ask before anything is deleted, copy, and report."""

import contextlib
import os
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.files.options import FileOptions
from clbalance.cli.files.progress import FileProgress
from clbalance.cli.files.report import report_files
from clbalance.cli.files.transfers import check_consent, deletable, is_deletion_agreed, transfers_of
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.files.copy import copy_to_nodes
from clbalance.engine.files.values import CopyRequest, Source
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import FilesResult, LeftOut, Manifest, ManifestError
from clbalance.render import messages
from clbalance.transport.reach import raise_file_limit
from clbalance.user_files.trees import open_source

_OF_NODE: Final = re.compile(r"[\w.@,\[\]-]+:[^:]")
"""As scp names a file of a node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCall:
    """One call of `clbalance copy`."""

    nodes: NodeOptions
    ssh: SshOptions
    console: Console
    options: FileOptions
    follow: bool

    def carry_out(self, sources: Sequence[str], destination: str) -> int:
        """The exit code."""
        self._check(sources, destination)
        cluster = cluster_context(self.nodes, self.ssh, self.console)
        raise_file_limit()
        with contextlib.ExitStack() as opened:
            request = CopyRequest(
                sources=tuple(self._source(path, opened) for path in sources),
                destination=destination,
                checksum=self.options.checksum,
                sync=self.options.sync,
                only_compare=self.options.only_compares,
                into_shared_folder=self.options.into_shared_folder,
            )
            _check_names(request)
            if self.options.asks:
                _, told = self._copied(cluster, replace(request, only_compare=True))
                if not is_deletion_agreed(self.console, told.plans):
                    return ExitCode.FAILED
                request = replace(request, may_delete=deletable(told.plans, cluster.candidates.nodes))
            began = time.monotonic()
            results, progress = self._copied(cluster, request)
        return report_files(
            self.console,
            "copy",
            results,
            progress,
            time.monotonic() - began,
            diff=self.options.diff,
            only_compared=request.only_compare,
        )

    def _check(self, sources: Sequence[str], destination: str) -> None:
        """Raise `UsageError` for what can be seen to be wrong before anything is read."""
        if not self.nodes.names_nodes:
            raise UsageError("no nodes named", hint="`clbalance copy -w NODES FILE DEST`, or with `-g GROUP`")
        if not destination or "\0" in destination:
            raise UsageError("DEST cannot be empty", hint="`.` is the home folder there")
        for source in sources:
            if _OF_NODE.match(source) and not os.path.lexists(source):
                hint = "`clbalance fetch -w NODES FILE DIR` brings files from nodes to this machine"
                raise UsageError(f"`{source}` is on a node, and `copy` sends files of this machine", hint=hint)
        check_consent(self.options)

    def _source(self, path: str, opened: contextlib.ExitStack) -> Source:
        tree = opened.enter_context(open_source(path, follow=self.follow))
        found = list(tree.walk(checksum=self.options.checksum))
        for one in found:
            if isinstance(one, LeftOut):
                self.console.say(messages.warning(f"{one.path}: not copied: {one.reason}"))
        try:
            manifest = Manifest.of(one for one in found if not isinstance(one, LeftOut))
        except ManifestError as error:
            raise UsageError(f"cannot copy {path!r}: {error}", hint="name less of it") from error
        return Source(tree=tree, manifest=manifest, only_content=path.endswith("/"))

    def _copied(self, cluster: ClusterContext, request: CopyRequest) -> tuple[tuple[FilesResult, ...], FileProgress]:
        progress = FileProgress(self.console)
        results = copy_to_nodes(
            transfers_of(cluster, self.ssh),
            cluster.candidates.nodes,
            request,
            fanout=cluster.settings.ssh.fanout,
            listener=progress,
        )
        return results, progress


def _check_names(request: CopyRequest) -> None:
    """Raise `UsageError` for sources that would get the same name, or none."""
    names = [source.tree.name for source in request.sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two sources are called {twice!r}", hint="copy them by two calls, to two folders")
    if len(names) > 1 and any(source.only_content for source in request.sources):
        raise UsageError(
            "a folder typed with `/` at its end must be the only one", hint="without it, the folder itself is copied"
        )
