"""Reads the files that define groups, as ClusterShell does: `groups.conf`, the folders it names, and their files.

Nothing is run here. A file that others may write to, or that cannot be parsed, becomes a `Problem`, and the other files
go on working. But no name changes its meaning because a file cannot be used.
"""

import configparser
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from ClusterShell.NodeUtils import GroupSource

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.settings.ini_files import MAIN, IniKind, files_in, parsed, read_ini, text_of
from clbalance.transport.group_sources import Problem, UnusableGroups, Upcalls

RESULT_FILE = "clb.yaml"
_UPCALLS = ("map", "all", "list", "reverse", "mapall")
_AS_EXAMPLE = "`[source]` sections with `map: COMMAND` lines, as in groups.conf.example"
_KIND = IniKind(file="groups.conf", noun="groups file", expected=_AS_EXAMPLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A source and the file that defines it. Without `name`: a file that cannot be used, and may define any source."""

    name: str | None
    source: GroupSource
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The sources of files that are merged, in ClusterShell's order, and the name of their default source."""

    found: tuple[Found, ...] = ()
    file: str = ""
    """The last of its `groups.conf` files."""
    default: str = ""
    is_closed: bool = False
    """Its `groups.conf` cannot be used, so its default source is unknown."""

    @property
    def unread(self) -> Problem | None:
        """The problem of the first file that cannot be used."""
        return next((one.source.problem for one in self.found if one.name is None), None)


def read_scope(files: Sequence[Path], cfgdir: Path | None = None) -> Scope:
    """Read and merge `groups.conf` files, and the files that they name. Later ones override; missing ones are skipped.

    `$CFGDIR` is `cfgdir`, by default the folder of the last file.
    """
    config = configparser.ConfigParser()
    origins: dict[str, Path] = {}
    last: Path | None = None
    fault: Problem | None = None
    try:
        for path in files:
            if (file := read_ini(path)) is None:
                continue
            fault = fault or _problem_of(file.fault)
            text = text_of(path, file)
            origins |= dict.fromkeys(parsed(path, text, _KIND).sections(), path)
            config.read_string(text, str(path))
            last = path
        if last is None:
            return Scope()
        folder = str(cfgdir or last.parent)
        found = _each_once([*_parts(config, folder), *_sections(config, folder, lambda name: origins[name])])
        default = config.get(MAIN, "default", fallback="")
    except (SettingsError, configparser.Error, ValueError) as error:
        return Scope(found=(_unread(fault or _told(error, last)),), is_closed=True)
    left = tuple(one for one in found if not _is_packaged_example(one.source))
    if default in {one.name for one in found} - {one.name for one in left}:
        default = ""
    if fault is not None:
        # If only the packaged example is there, ignore the problem: every installation has that file.
        return Scope(found=(_unread(fault),), is_closed=True) if left else Scope()
    return Scope(found=left, file=str(last), default=default)


def is_result_link(path: Path) -> bool:
    """Whether it is a link made by `config groups --install`."""
    return path.name == RESULT_FILE and path.is_symlink() and path.readlink().name == RESULT_FILE


def _told(error: Exception, file: Path | None) -> Problem:
    if isinstance(error, SettingsError):
        return Problem(message=error.message, hint=error.hint)
    return Problem(
        message=f"{file or 'groups.conf'}: {' '.join(str(error).split())}", hint="compare with groups.conf.example"
    )


def _problem_of(fault: SettingsError | None) -> Problem | None:
    return None if fault is None else Problem(message=fault.message, hint=fault.hint)


def _unread(problem: Problem) -> Found:
    return Found(name=None, source=UnusableGroups("", problem), place="")


def _parts(config: configparser.ConfigParser, cfgdir: str) -> Iterator[Found]:
    """The sources in the folders that `[Main]` names."""
    confdir = "groupsdir" if config.has_option(MAIN, "groupsdir") else "confdir"
    for folder, path in files_in(config.get(MAIN, confdir, fallback=""), cfgdir, "*.conf", _KIND):
        yield from _part(path, partial(_sections_of, path, folder))
    for _, path in files_in(config.get(MAIN, "autodir", fallback=""), cfgdir, "*.yaml", _KIND):
        # Skip our own file, linked by `config groups --install`: reading it takes 30 ms.
        if not is_result_link(path):
            yield from _part(path, partial(_yaml_of, path))


def _part(path: Path, sources_in: Callable[[str], Iterator[Found]]) -> Iterator[Found]:
    """The sources of one file; a problem in their place if it cannot be used."""
    try:
        if (file := read_ini(path)) is None:
            return
        if file.fault is not None:
            raise file.fault
        yield from sources_in(text_of(path, file))
    except SettingsError as error:
        yield _unread(_told(error, None))


def _sections_of(path: Path, folder: str, text: str) -> Iterator[Found]:
    return _sections(parsed(path, text, _KIND), folder, lambda _: path)


def _yaml_of(path: Path, text: str) -> Iterator[Found]:
    from clbalance.transport.group_yaml import yaml_groups  # PyYAML takes 15 ms

    sources = yaml_groups(str(path), text)
    if isinstance(sources, Problem):
        yield _unread(sources)
    else:
        yield from (Found(name=source.name, source=source, place=str(path)) for source in sources)


def _sections(config: configparser.ConfigParser, cfgdir: str, origin: Callable[[str], Path]) -> Iterator[Found]:
    """The sources of all sections. A section `[a,b]` defines two equal sources."""
    for section in config.sections():
        for name in section.split(","):
            if name and name != MAIN:
                place = str(origin(section))
                yield Found(name=name, source=_upcalls(config, section, name, cfgdir, place), place=place)


def _upcalls(config: configparser.ConfigParser, section: str, name: str, cfgdir: str, place: str) -> GroupSource:
    commands = {f"{what}_upcall": config.get(section, what, raw=True, fallback=None) for what in _UPCALLS}
    cache_time = config.get(section, "cache_time", raw=True, fallback=None)
    if not config.has_option(section, "map") and not config.has_option(section, "mapall"):
        message = f"{place}: group source `{name}` has neither `map` nor `mapall`"
        return UnusableGroups(name, Problem(message=message, hint=_AS_EXAMPLE))
    try:
        seconds = None if cache_time is None else float(cache_time)
    except ValueError:
        message = f"{place}: `cache_time` of group source `{name}` is no number: {cache_time}"
        return UnusableGroups(name, Problem(message=message, hint="seconds, such as `cache_time: 60`"))
    return Upcalls(name, cfgdir=cfgdir, cache_time=seconds, **commands)


def _each_once(found: Sequence[Found]) -> list[Found]:
    """Make sources with the same name unusable: it is not known which is meant."""
    places: dict[str, list[str]] = {}
    for one in found:
        if one.name is not None:
            places.setdefault(one.name, []).append(one.place)
    return [
        one if one.name is None or len(places[one.name]) == 1 else _ambiguous(one, places[one.name]) for one in found
    ]


def _ambiguous(one: Found, places: Sequence[str]) -> Found:
    name = one.name or ""
    message = f"group source `{name}` is defined more than once: in {' and '.join(places)}"
    problem = Problem(message=message, hint="keep one of them, or give it another name")
    return Found(name=name, source=UnusableGroups(name, problem), place=one.place)


def _is_packaged_example(source: GroupSource) -> bool:
    """Whether it is the source `local` of the packaged groups.conf, with only example nodes or without its file."""
    if not isinstance(source, Upcalls) or "groups.d/local.cfg" not in source.upcalls.get("map", ""):
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
