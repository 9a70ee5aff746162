"""Carry out `fetch`: check the folder here, ask before anything is deleted, fetch, and report."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.files.options import FileOptions
from clbalance.cli.files.progress import FileProgress
from clbalance.cli.files.report import report_files
from clbalance.cli.files.transfers import check_consent, deletable, is_deletion_agreed, transfers_of
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.files.fetch import FetchRequest, fetch_from_nodes
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.files import FilesResult
from clbalance.policy.files.patterns import has_own_name
from clbalance.transport.reach import raise_file_limit
from clbalance.user_files.trees.writing import TreeWriter, opened_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchCall:
    """One call of `clbalance fetch`."""

    nodes: NodeOptions
    ssh: SshOptions
    console: Console
    options: FileOptions
    most_bytes: int

    def carry_out(self, sources: Sequence[str], folder: str) -> int:
        """The exit code."""
        self._check(sources)
        request = FetchRequest(
            sources=tuple(sources),
            most_bytes=self.most_bytes,
            checksum=self.options.checksum,
            sync=self.options.sync,
            only_compare=self.options.only_compares,
        )
        with opened_folder(folder, into_shared=self.options.into_shared_folder) as opened:
            writer = partial(TreeWriter, opened, into_shared=self.options.into_shared_folder)
            cluster = cluster_context(self.nodes, self.ssh, self.console)
            raise_file_limit()
            fetch = partial(self._fetched, cluster, writer)
            if self.options.asks:
                _, told = fetch(replace(request, only_compare=True))
                if not is_deletion_agreed(self.console, told.plans):
                    return ExitCode.FAILED
                request = replace(request, may_delete=deletable(told.plans, cluster.candidates.nodes))
            began = time.monotonic()
            results, progress = fetch(request)
        return report_files(
            self.console,
            "fetch",
            results,
            progress,
            time.monotonic() - began,
            diff=self.options.diff,
            only_compared=request.only_compare,
        )

    def _check(self, sources: Sequence[str]) -> None:
        """Raise `UsageError` for what can be seen to be wrong before any node is asked."""
        if not self.nodes.names_nodes:
            raise UsageError("no nodes named", hint="`clbalance fetch -w NODES FILE DIR`, or with `-g GROUP`")
        for source in sources:
            if not has_own_name(source) or "\0" in source:
                raise UsageError(
                    f"{source!r} has no name for the result", hint="name the folder, or what is in it: `*`"
                )
        check_consent(self.options)

    def _fetched(
        self, cluster: ClusterContext, writer: "partial[TreeWriter]", request: FetchRequest
    ) -> tuple[tuple[FilesResult, ...], FileProgress]:
        progress = FileProgress(self.console)
        results = fetch_from_nodes(
            transfers_of(cluster, self.ssh),
            cluster.candidates.nodes,
            request,
            writer=writer,
            fanout=cluster.settings.ssh.fanout,
            listener=progress,
        )
        return results, progress
