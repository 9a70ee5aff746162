"""Carry out `copy`: read the sources, ask before anything is deleted, copy, and report."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clbalance.cli.cluster import ClusterContext, cluster_context
from clbalance.cli.console import Console
from clbalance.cli.files.options import FileOptions
from clbalance.cli.files.plans import HeardPlans
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.engine.files.copy import copy_to_nodes
from clbalance.engine.files.transfers import Transfers
from clbalance.engine.files.values import CopyRequest, Source
from clbalance.errors import ExitCode, UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.model.files import FilesResult, LeftOut, Manifest, ManifestError
from clbalance.node import files_source
from clbalance.nodeset import fold
from clbalance.policy.files.plan import FilePlan
from clbalance.render import messages
from clbalance.render.text import escape_line
from clbalance.transport.reach import raise_file_limit
from clbalance.units import counted, parse_duration
from clbalance.user_files.trees import open_source

IDLE_S = 60.0
"""Without a byte that moves, unless `-u` says otherwise: a disk that is busy for others may take so long."""
_NAMED = 5
"""Files that a question names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCall:
    """One call of `clbalance copy`."""

    nodes: NodeOptions
    ssh: SshOptions
    console: Console
    options: FileOptions
    sync: bool
    yes: bool

    def carry_out(self, sources: Sequence[str], destination: str) -> int:
        """The exit code."""
        self._check(destination)
        cluster = cluster_context(self.nodes, self.ssh, self.console)
        raise_file_limit()
        with contextlib.ExitStack() as opened:
            request = CopyRequest(
                sources=tuple(self._source(path, opened) for path in sources),
                destination=destination,
                checksum=self.options.checksum,
                sync=self.sync,
                only_compare=self.options.only_compares,
                into_shared_folder=self.options.into_shared_folder,
            )
            _check_names(request)
            if self.sync and not self.yes and not self.options.only_compares:
                _, plans = self._copied(cluster, replace(request, only_compare=True))
                if not self._agreed(plans):
                    self.console.complain(messages.note("nothing was changed"))
                    return ExitCode.FAILED
                told = {node: frozenset(entry.path for entry in plan.delete) for node, plan in plans.items()}
                may_delete = {node: told.get(node, frozenset()) for node in cluster.candidates.nodes}
                request = replace(request, may_delete=may_delete)
            results, plans = self._copied(cluster, request)
        return self._report(results, plans)

    def _check(self, destination: str) -> None:
        """Raise `UsageError` for what can be seen to be wrong before anything is read."""
        if not self.nodes.names_nodes:
            raise UsageError("no nodes named", hint="`clbalance copy -w NODES FILE DEST`, or with `-g GROUP`")
        if not destination or "\0" in destination:
            raise UsageError("DEST cannot be empty", hint="`.` is the home folder there")
        if self.yes and not self.sync:
            raise UsageError("`--yes` is for `--sync`", hint="nothing else asks a question")
        if self.sync and not self.yes and not self.options.only_compares and not _can_ask():
            raise UsageError(
                "`--sync` may delete files, and there is no terminal to ask",
                hint="`--dry-run` shows what it would do; `--yes` does it",
            )

    def _source(self, path: str, opened: contextlib.ExitStack) -> Source:
        tree = opened.enter_context(open_source(path, follow=self.options.follow))
        found = list(tree.walk(checksum=self.options.checksum))
        for one in found:
            if isinstance(one, LeftOut):
                self.console.say(messages.warning(f"{one.path}: not copied: {one.reason}"))
        try:
            manifest = Manifest.of(one for one in found if not isinstance(one, LeftOut))
        except ManifestError as error:
            raise UsageError(f"cannot copy {path!r}: {error}", hint="name less of it") from error
        return Source(tree=tree, manifest=manifest, only_content=path.endswith("/"))

    def _copied(
        self, cluster: ClusterContext, request: CopyRequest
    ) -> tuple[tuple[FilesResult, ...], dict[NodeName, FilePlan]]:
        ssh = cluster.settings.ssh
        typed = self.ssh.command_timeout
        transfers = Transfers(
            cluster.transport,
            program=files_source(),
            within_s=ssh.connect_timeout_s + ssh.probe_timeout_s,
            idle_s=IDLE_S if typed is None else parse_duration(typed, "`-u`"),
        )
        heard = HeardPlans()
        results = copy_to_nodes(transfers, cluster.candidates.nodes, request, fanout=ssh.fanout, listener=heard)
        return results, heard.plans

    def _agreed(self, plans: Mapping[NodeName, FilePlan]) -> bool:
        """Ask before anything is deleted. Nodes where the same would be deleted are in one line."""
        together: dict[tuple[str, ...], list[NodeName]] = {}
        for node, plan in plans.items():
            if plan.delete:
                together.setdefault(tuple(entry.path for entry in plan.delete), []).append(node)
        if not together:
            return True
        for paths, nodes in together.items():
            named = ", ".join(map(escape_line, paths[:_NAMED]))
            more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
            what = counted(len(paths), "file")
            self.console.complain(messages.note(f"{fold(nodes)}: {what} would be deleted: {named}{more}"))
        sys.stderr.write("Delete them? [y/N] ")
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in {"y", "yes"}

    def _report(self, results: Sequence[FilesResult], plans: Mapping[NodeName, FilePlan]) -> int:
        del plans
        for result in results:
            if result.failure is not None:
                self.console.complain(messages.warning(f"{result.node}: {result.failure}"))
        return ExitCode.DONE if all(one.failure is None for one in results) else ExitCode.SOME_NODES_FAILED


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _check_names(request: CopyRequest) -> None:
    """Raise `UsageError` for sources that would get the same name, or none."""
    names = [source.tree.name for source in request.sources]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"two sources are called {twice!r}", hint="copy them by two calls, to two folders")
    if len(names) > 1 and any(source.only_content for source in request.sources):
        raise UsageError(
            "a folder typed with `/` at its end must be the only one", hint="without it, the folder itself is copied"
        )
