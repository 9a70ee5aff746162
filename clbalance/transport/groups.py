"""ClusterShell's group resolver over the files where ClusterShell looks, and over one more that was named.

The packaged example source is never used: a fresh install of ClusterShell makes `@all` 131 hosts named
`example4`…, and a tool that then probes them looks broken.
"""

import configparser
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

from ClusterShell.Defaults import config_paths
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS
from ClusterShell.NodeUtils import (
    GroupResolverConfig,
    GroupResolverConfigError,
    GroupResolverError,
    GroupSource,
    GroupSourceNoUpcall,
    UpcallGroupSource,
)

from clbalance.errors import SettingsError

RESULT_FILE = "clb.yaml"
_NoHeader = configparser.MissingSectionHeaderError
# An upcall finds it in the place of `$GROUP`, unquoted in a shell's command line: one word, no option, no `..`.
_GROUP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]*")


class ResultGroups(GroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """What became of jobs, as clbalance has written it down; read when it is first asked for."""

    def __init__(self, name: str, read: Callable[[], Mapping[str, str]]) -> None:
        super().__init__(name)
        self._read = cache(read)

    def resolv_map(self, group: str) -> str:
        return self._read().get(group, "")

    def resolv_list(self) -> list[str]:
        """Of each job that is known, every set: those that are not written down are empty."""
        kinds = {name for name in self._read() if "-" not in name}
        jobs = {name.rpartition("-")[2] for name in self._read() if "-" in name}
        return sorted(kinds | {f"{kind}-{job}" for kind in kinds for job in jobs})

    def resolv_all(self) -> str:
        raise GroupSourceNoUpcall("all", self)


class ConfiguredGroups(GroupResolverConfig):  # type: ignore[misc]  # ClusterShell ships no types
    """Groups as configured, less the packaged example."""

    _default_source: GroupSource | None

    def __init__(self, filenames: list[str], results: ResultGroups | None = None) -> None:
        super().__init__(filenames, illegal_chars=ILLEGAL_GROUP_CHARS)
        self._results = results

    def _late_init(self) -> None:
        super()._late_init()
        for name, source in list(self._sources.items()):
            if _is_packaged_example(source):
                del self._sources[name]
                if self._default_source is source:
                    self._default_source = next(iter(self._sources.values()), None)
        if self._results is not None:
            self._sources.setdefault(self._results.name, self._results)

    def _sources_from_yaml(self, filepath: str) -> None:
        """Our own file, where `config groups --install` has put it, would take 30 ms to read."""
        if not is_result_link(Path(filepath)):
            super()._sources_from_yaml(filepath)

    def group_nodes(self, group: str, namespace: str | None = None) -> list[str]:
        """The nodes of one group, as node sets; every upcall with a group's name in it passes here."""
        if not _GROUP.fullmatch(group):
            raise GroupResolverError(f"{group!r} cannot be a group's name")
        nodes: list[str] = super().group_nodes(group, namespace)
        return nodes

    @property
    def is_empty(self) -> bool:
        """Whether no group source is left."""
        return not self._sources


def is_result_link(path: Path) -> bool:
    """Whether `config groups --install` has made it."""
    return path.name == RESULT_FILE and path.is_symlink() and path.readlink().name == RESULT_FILE


def _is_packaged_example(source: GroupSource) -> bool:
    """Whether this is the `local` of the packaged groups.conf, still on example nodes or on no file at all."""
    if not isinstance(source, UpcallGroupSource) or "groups.d/local.cfg" not in source.upcalls.get("map", ""):
        return False
    folder = Path(source.cfgdir)
    if (folder / "groups").exists():
        return False
    try:
        text = (folder / "groups.d" / "local.cfg").read_text(errors="replace")
    except OSError:
        return True
    lines = (line.partition("#")[0].partition(":")[2] for line in text.splitlines())
    return all(node.startswith("example") for line in lines for node in line.split())


def group_files() -> tuple[Path, ...]:
    """Where ClusterShell looks for its groups.conf, the last word last."""
    return tuple(map(Path, config_paths("groups.conf")))


def load_groups(groups_conf: Path | None, results: ResultGroups | None = None) -> ConfiguredGroups | None:
    """The configured groups, `groups_conf` last and so with the last word, and `results`; None where there are none.

    Raises `SettingsError` with file and line for a file that cannot be read as groups.
    """
    if groups_conf is not None:
        _check_readable(groups_conf)
    files = [*map(str, group_files()), *([str(groups_conf.resolve())] if groups_conf else [])]
    try:
        resolver = ConfiguredGroups(_each_once(files), results)
        resolver.default_source_name  # noqa: B018 - reads the files now, so that what is wrong is told here
    except configparser.ParsingError as error:
        line, text = error.args[1:3] if isinstance(error, _NoHeader) else error.errors[0]
        raise SettingsError(
            f"{error.source}:{line}: not a groups file: {_shown(text)}",
            hint="`[source]` sections with `map: COMMAND` lines, as in groups.conf.example",
        ) from error
    except (configparser.Error, GroupResolverConfigError) as error:
        raise SettingsError(
            f"{groups_conf or 'groups.conf'}: {' '.join(str(error).split())}",
            hint="compare with groups.conf.example; `nodeset -ll` shows what ClusterShell reads",
        ) from error
    return None if resolver.is_empty else resolver


def _shown(line: object) -> str:
    """configparser reports the line as its repr."""
    return str(line).strip("'").removesuffix("\\n").strip()[:80]


def _each_once(files: Sequence[str]) -> list[str]:
    """`files` without repeats, the last of equals kept: ClusterShell lets the later file win."""
    return list(dict.fromkeys(reversed(files)))[::-1]


def _check_readable(path: Path) -> None:
    try:
        path.open().close()
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}", hint="`--groups-conf` takes a file like groups.conf.example"
        ) from error
