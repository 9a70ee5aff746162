"""ClusterShell's group resolver over the files where ClusterShell looks, and over one more that was named.

ClusterShell's own files are merged as it merges them, and share one `$CFGDIR`. A file that was named has its own:
it adds sources, or puts its own in the place of others, and changes nothing about what those read.

The packaged example source is never used: a fresh install of ClusterShell makes `@all` 131 hosts named
`example4`…, and a tool that then probes them looks broken.
"""

import configparser
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from string import Template
from types import MappingProxyType

from ClusterShell.Defaults import config_paths
from ClusterShell.NodeSet import ILLEGAL_GROUP_CHARS
from ClusterShell.NodeUtils import (
    GroupResolverConfig,
    GroupResolverConfigError,
    GroupResolverError,
    GroupSource,
    GroupSourceNoUpcall,
    GroupSourceQueryFailed,
    UpcallGroupSource,
)

from clbalance.errors import SettingsError

RESULT_FILE = "clb.yaml"
_MOST_SAID = 200  # characters of an upcall, and of its complaints
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


class _Upcalls(UpcallGroupSource):  # type: ignore[misc]  # ClusterShell ships no types
    """Upcalls whose complaints belong to the error, and not on the terminal."""

    def _upcall_read(self, cmdtpl: str, args: Mapping[str, str] = MappingProxyType({})) -> str:
        command = Template(self.upcalls[cmdtpl]).safe_substitute(args)
        done = subprocess.run(  # noqa: S602 - an upcall is a shell command, and `$GROUP` has been checked
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            shell=True,
            cwd=self.cfgdir,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode:
            said = " ".join(done.stderr.split())[:_MOST_SAID]
            how = f"ended with {done.returncode}" + (f": {said}" if said else "")
            raise GroupSourceQueryFailed(f"its `{cmdtpl}`, `{_shortened(command)}`, {how}", self)
        return done.stdout.strip()


def _with_its_own_stderr(source: GroupSource) -> GroupSource:
    if not isinstance(source, UpcallGroupSource):
        return source
    by_name = {f"{name}_upcall": command for name, command in source.upcalls.items()}
    return _Upcalls(source.name, cfgdir=source.cfgdir, cache_time=source.cache_time, **by_name)


def _shortened(command: str) -> str:
    return command if len(command) <= _MOST_SAID else f"{command[:_MOST_SAID]}..."


class ConfiguredGroups(GroupResolverConfig):  # type: ignore[misc]  # ClusterShell ships no types
    """Groups as configured, less the packaged example."""

    _sources: dict[str, GroupSource]
    _default_source: GroupSource | None

    def __init__(self, scopes: Sequence[list[str]], results: ResultGroups | None = None) -> None:
        """The files of one scope are merged; a later scope has the last word."""
        super().__init__([], illegal_chars=ILLEGAL_GROUP_CHARS)
        self._scopes = scopes
        self._results = results

    def _late_init(self) -> None:
        super()._late_init()
        self._read_scopes()
        self._sources = {name: _with_its_own_stderr(source) for name, source in self._sources.items()}
        if self._default_source is not None:
            self._default_source = self._sources[self._default_source.name]
        for name, source in list(self._sources.items()):
            if _is_packaged_example(source):
                del self._sources[name]
                if self._default_source is source:
                    self._default_source = next(iter(self._sources.values()), None)
        if self._results is not None:
            self._sources.setdefault(self._results.name, self._results)

    def _read_scopes(self) -> None:
        sources: dict[str, GroupSource] = {}
        default = ""
        for files in self._scopes:
            self._sources, self._default_source = {}, None
            self.config = configparser.ConfigParser()
            if parsed := self.config.read(files):
                # Named last, for it may be a source of another scope's.
                default = self.config.get(self.SECTION_MAIN, "default", fallback="") or default
                if self.config.has_section(self.SECTION_MAIN):
                    self.config.remove_option(self.SECTION_MAIN, "default")
                self._parse_config(str(Path(parsed[-1]).parent))
            sources |= self._sources
        self._sources, self._default_source = sources, None
        if default and default not in sources:
            raise GroupResolverConfigError(f'Default group source not found: "{default}"')
        if sources:
            self._default_source = sources[default] if default else next(iter(sources.values()))

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
    try:
        resolver = ConfiguredGroups(_scopes(groups_conf), results)
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


def _scopes(named: Path | None) -> list[list[str]]:
    """ClusterShell's files without repeats, the last of equals kept, for it lets the later file win; then `named`.

    One of them that is named comes last among them.
    """
    own = list(map(str, group_files()))
    if named is not None and str(named.resolve()) not in own:
        return [_each_once(own), [str(named.resolve())]]
    return [_each_once([*own, *([str(named.resolve())] if named is not None else [])])]


def _each_once(files: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(reversed(files)))[::-1]


def _check_readable(path: Path) -> None:
    try:
        path.open().close()
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}", hint="`--groups-conf` takes a file like groups.conf.example"
        ) from error
