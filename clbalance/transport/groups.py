"""ClusterShell's group resolver over ClusterShell's own files, and over one more file that the user names.

ClusterShell's files are merged as ClusterShell merges them, and share one `$CFGDIR`. The named file has a `$CFGDIR` of
its own. It can add or replace sources, but does not change how other sources are read.

The packaged example source is never used: after a fresh install of ClusterShell `@all` is 131 hosts named `example4`…,
and a tool that probes them looks broken. Only a look-up of a group or source that cannot be used raises a
`SettingsError`, with the place; all others work.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ClusterShell.Defaults import config_paths
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS, NodeSetException, ParsingEngine
from ClusterShell.NodeUtils import GroupResolver, GroupResolverError, GroupSource, GroupSourceError

from clbalance.errors import ClbalanceError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.node_set_text import MAX_NODES, foreign_characters, most_names
from clbalance.transport.group_files import Found, Scope, read_scope
from clbalance.transport.group_sources import NamedGroups, Problem, ResultGroups, UnusableGroups, Upcalls, YamlGroups

_OPERATORS = ILLEGAL_GROUP_CHARS - {"*"}  # as the only sign of a wildcard, `*` can be a part of a group's name
_PLAIN_LIST = re.compile(r"[A-Za-z0-9_.,-]*")
_MAX_DEPTH = 50  # groups in groups


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """All scopes merged: sources by name, the default source, and of each scope the first file that cannot be used."""

    by_name: dict[str, GroupSource]
    default: GroupSource | None
    unread: tuple[Problem, ...]


class ConfiguredGroups(GroupResolver):  # type: ignore[misc]  # ClusterShell ships no types
    """The configured groups, without the packaged example. Its answers contain nodes only, no groups."""

    _sources: dict[str, GroupSource]
    _default_source: GroupSource | None

    def __init__(
        self, scopes: Sequence[Scope], results: ResultGroups | None = None, plugins: Sequence[NamedGroups] = ()
    ) -> None:
        """A later scope overrides earlier ones. Where none has a default source, the first of `plugins` is it."""
        merged = _merged(scopes)
        super().__init__(merged.default or next(iter(plugins), None), illegal_chars=_OPERATORS)
        self._initialized = True
        self._sources = merged.by_name
        self._unread = merged.unread
        more: list[GroupSource] = [*([] if results is None else [results]), *plugins]
        for source in more:
            self._sources.setdefault(source.name, source)
        self._known: dict[tuple[str, str], list[str]] = {}
        self._listed: dict[str, list[str]] = {}
        self._answered: set[str] = set()
        self._within: list[tuple[str, str]] = []

    def group_nodes(self, group: str, namespace: str | None = None) -> list[str]:
        """The nodes of a group, as node sets."""
        source = self._source(namespace)
        if (source.name, group) not in self._known:
            with self._inside(source, group):
                nodes = super().group_nodes(group, namespace)
                self._known[source.name, group] = self._without_groups(nodes, source, group)
            self._answered.add(source.name)
        return self._known[source.name, group]

    def grouplist(self, namespace: str | None = None) -> list[str]:
        """The names of all groups of a source; some are ranges. `sinfo` marks the default partition as `batch*`."""
        names: list[str] = super().grouplist(namespace)
        source = self._source(namespace)
        if isinstance(source, Upcalls) and source.runs_map:
            names = [name.rstrip("*") or name for name in names]
        self._listed[source.name] = names
        return names

    def all_nodes(self, namespace: str | None = None) -> list[str]:
        """All nodes of a source, if it can list them."""
        source = self._source(namespace)
        with self._inside(source, "*"):
            nodes = self._without_groups(super().all_nodes(namespace), source, "*")
        self._answered.add(source.name)
        return nodes

    def named(self, source: str, group: str) -> str:
        """A group's name for messages, with file and line if they are known."""
        return _named(self._source(source), group)

    def static_groups(self) -> Iterator[tuple[str, str]]:
        """Source and name of each group that is looked up without running a command."""
        for name, source in self._sources.items():
            if isinstance(source, YamlGroups):
                yield from ((name, group) for group in source.resolv_list())

    @property
    def default_name(self) -> str:
        """The name of the default source; empty if there is none."""
        return "" if self._default_source is None else str(self._default_source.name)

    def known_groups(self) -> dict[str, list[str] | None]:
        """The groups of each source by its name; None: they have not been listed, and that would run a command."""
        return {
            name: source.resolv_list() if isinstance(source, YamlGroups) else self._listed.get(name)
            for name, source in self._sources.items()
        }

    def list_default(self) -> bool:
        """Have the default source list its groups, if it has answered already; whether it was asked."""
        if self.default_name not in self._answered:
            return False
        with suppress(ClbalanceError, GroupResolverError, GroupSourceError):
            self.grouplist()
        return True

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems of files, sources and groups, each once."""
        sources = [*self._sources.values(), self._default_source]
        found = [
            *self._unread,
            *(source.problem for source in sources if isinstance(source, UnusableGroups)),
            *(problem for source in sources if isinstance(source, YamlGroups) for problem in source.problems()),
        ]
        return tuple(dict.fromkeys(found))

    @property
    def is_empty(self) -> bool:
        """Whether there is no group source and no file that might define one."""
        return not self._sources and self._default_source is None

    def _source(self, namespace: str | None) -> GroupSource:
        if namespace and namespace not in self._sources and self._unread:
            raise self._unread[0].error
        return super()._source(namespace)

    @contextmanager
    def _inside(self, source: GroupSource, group: str) -> Iterator[None]:
        """Notes that a group is being looked up. `SettingsError` if it contains itself or is nested too deep."""
        if (source.name, group) in self._within:
            ring = [*self._within[self._within.index((source.name, group)) :], (source.name, group)]
            shown = " → ".join(f"@{name}:{within}" for name, within in ring)
            raise SettingsError(f"{_named(source, group)} contains itself: {shown}", hint="take one of them out")
        if len(self._within) >= _MAX_DEPTH:
            raise SettingsError(
                f"{_named(source, group)} lies more than {_MAX_DEPTH} groups deep in others", hint="name nodes instead"
            )
        self._within.append((source.name, group))
        try:
            yield
        finally:
            self._within.pop()

    def _without_groups(self, nodes: list[str], source: GroupSource, group: str) -> list[str]:
        """`nodes` with groups replaced by their nodes, folded. `SettingsError` for a bad or too large node set."""
        text = ",".join(nodes)
        if _PLAIN_LIST.fullmatch(text):
            return nodes
        if wrong := foreign_characters(text):
            raise SettingsError(
                f"{_named(source, group)} is not a node set: {wrong} not allowed: {text[:80]}",
                hint="like `node[1-4,7]` or `@gpu,node9`",
            )
        if most_names(text) > MAX_NODES:
            raise _too_many(source, group)
        if "@" not in text and ("*" in text or "?" in text):
            return nodes  # a pattern over all nodes, which the caller resolves
        try:
            found = ParsingEngine(self).parse_string(text, None, source.name)
        except (NodeSetException, GroupResolverError, GroupSourceError, ValueError, RecursionError) as error:
            raise SettingsError(
                f"{_named(source, group)} is not a node set: {error}", hint=f"it says `{text[:80]}`"
            ) from error
        if len(found) > MAX_NODES:
            raise _too_many(source, group)
        return [str(found)] if found else []


def _named(source: GroupSource, group: str) -> str:
    place = source.place(group) if isinstance(source, YamlGroups) else ""
    what = "`all`" if group == "*" else f"group `{group}`"
    return f"{place}: {what} of source `{source.name}`" if place else f"{what} of group source `{source.name}`"


def _too_many(source: GroupSource, group: str) -> SettingsError:
    return SettingsError(
        f"{_named(source, group)} names more than {MAX_NODES} nodes", hint="is there a digit too many in a range?"
    )


def _merged(scopes: Sequence[Scope]) -> _Sources:
    """Merge scopes. Sources that an unusable file might replace are unusable, too: no name changes its meaning."""
    by_name: dict[str, GroupSource] = {}
    first: Found | None = None
    default: str | GroupSource = ""
    file = "groups.conf"
    unread: list[Problem] = []
    for scope in scopes:
        if scope.unread is not None:
            by_name = {name: UnusableGroups(name, scope.unread) for name in by_name}
            unread.append(scope.unread)
            default = UnusableGroups("default", scope.unread) if scope.is_closed else default
        for found in scope.found:
            first = first or found
            if found.name is not None:
                by_name[found.name] = found.source
        if scope.default:
            default, file = scope.default, scope.file
    if isinstance(default, str) and default:
        default = by_name.get(default) or _missing(default, file, unread)
    if not default and first is not None:
        default = first.source if first.name is None else by_name[first.name]
    return _Sources(by_name=by_name, default=default or None, unread=tuple(unread))


def _missing(default: str, file: str, unread: Sequence[Problem]) -> UnusableGroups:
    problem = Problem(
        message=f"{file}: the group source `{default}`, which `default` names, is not defined",
        hint="compare with groups.conf.example; `nodeset -ll` shows what ClusterShell reads",
    )
    return UnusableGroups(default, unread[0] if unread else problem)


def group_files() -> tuple[Path, ...]:
    """The paths of ClusterShell's groups.conf; a later one overrides earlier ones.

    An empty variable counts as not set. A relative `XDG_CONFIG_HOME` is ignored, as XDG demands. `CLUSTERSHELL_CFGDIR`
    may be relative to the current folder.
    """
    *fixed, users = config_paths("groups.conf")[:4]
    if not os.environ.get("XDG_CONFIG_HOME", "/").startswith("/"):
        users = os.path.expanduser("~/.config/clustershell/groups.conf")  # noqa: PTH111 - as ClusterShell does it
    named = os.environ.get("CLUSTERSHELL_CFGDIR")
    paths = [Path(path) for path in (*fixed, users)] + ([Path(named, "groups.conf")] if named else [])
    return tuple(path.absolute() for path in paths if path.is_absolute() or path.parts[0] != "~")


def load_groups(
    groups_conf: Path | None, results: ResultGroups | None = None, plugins: Sequence[NamedGroups] = ()
) -> ConfiguredGroups | None:
    """The configured groups, overridden by `groups_conf`, `results` and those of plug-ins; None if there are none.

    `SettingsError` if `groups_conf` does not exist or cannot be opened. Other errors are raised when a group is looked
    up, and are listed in `problems`.
    """
    if groups_conf is not None:
        _check_readable(groups_conf)
    resolver = ConfiguredGroups(list(_scopes(groups_conf)), results, plugins)
    return None if resolver.is_empty else resolver


def _scopes(named: Path | None) -> Iterator[Scope]:
    """The scope of ClusterShell's files, then that of `named`. Of a repeated file the last counts.

    If `named` is one of ClusterShell's files, it goes last among them. Else its `$CFGDIR` is its own folder (resolved).
    """
    own = list(group_files())
    same = [path for path in own if named is not None and path.resolve() == named.resolve()]
    yield read_scope(_each_once([*own, *same[-1:]]))
    if named is not None and not same:
        yield read_scope([named.absolute()], named.resolve().parent)


def _each_once(files: Sequence[Path]) -> list[Path]:
    return list(dict.fromkeys(reversed(files)))[::-1]


def _check_readable(path: Path) -> None:
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "Is a directory")
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except (OSError, ValueError) as error:
        what = error.strerror if isinstance(error, OSError) else error
        raise SettingsError(f"{path}: {what}", hint="`--groups-conf` takes a file like groups.conf.example") from error
