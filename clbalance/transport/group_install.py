"""Makes ClusterShell read one more YAML group file, if that changes none of the groups that it reads already.

The file is linked, because it is replaced by rename after every job, and belongs to one submit host.
"""

import os
import shlex
from collections.abc import Sequence
from configparser import ConfigParser, Error
from pathlib import Path
from string import Template

from ClusterShell.Defaults import config_paths
from ClusterShell.NodeUtils import GroupResolverConfig, GroupResolverConfigError, GroupResolverError

from clbalance.errors import ClbalanceError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.user_files import replace_link


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """The link that was made. `before`: its former target; None if it is new."""

    link: Path
    before: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Configured:
    """ClusterShell's configuration: its files, the folders of YAML files, its sources, and its default source."""

    files: tuple[Path, ...]
    autodirs: tuple[Path, ...]
    names_default: bool
    sources: tuple[str, ...]
    default: str | None


def install_groups(file: Path, source: str) -> Installed:
    """Link `file`, which defines `source`, into the last folder of YAML files that belongs to us.

    `SettingsError`, and nothing is done, if that could change other groups or such a source exists already.
    """
    name = file.name
    before = _configured()
    ours = [folder for folder in before.autodirs if _is_ours_to_write(folder)]
    links = [folder / name for folder in ours if _is_ours(folder / name, name)]
    for link in links:
        if link.readlink() == file:
            return Installed(link=link, before=file)
    if source in before.sources and not links:
        raise SettingsError(
            f"a group source `{source}` is configured already",
            hint="`nodeset -LL` shows what is in it; nothing was done",
        )
    if before.sources and not before.names_default:
        # Ours would be the first source and so the default one, in which every `@name` without a source is looked up.
        raise SettingsError(
            f"{before.files[-1]} does not say which source is the default one",
            hint=f"write `default: {before.default}` under its `[Main]`, then repeat the command",
        )
    link = (links or [_folder(before) / name])[-1]
    return _link(link, file, before, source)


def _link(link: Path, file: Path, before: _Configured, source: str) -> Installed:
    was = link.readlink() if _is_ours(link, link.name) else None
    if was is None and os.path.lexists(link):
        raise SettingsError(f"{link} is there already, and not ours", hint="move it away, then repeat the command")
    try:
        link.parent.mkdir(mode=0o755, exist_ok=True)
        replace_link(str(link), str(file))
        _check(before, source)
    except (OSError, ClbalanceError) as error:
        _undo(link, was)
        if isinstance(error, ClbalanceError):
            raise
        raise SettingsError(f"{link}: {error.strerror}", hint="`clbalance config groups` prints it instead") from error
    return Installed(link=link, before=was)


def _undo(link: Path, was: Path | None) -> None:
    if was is not None:
        replace_link(str(link), str(was))
    elif link.is_symlink():
        link.unlink()


def _check(before: _Configured, source: str) -> None:
    """Raise `SettingsError` unless ClusterShell finds the source, and all others as before."""
    now = _configured()
    default = before.default if before.sources else source
    if source not in now.sources or {*before.sources} - {*now.sources} or now.default != default:
        raise SettingsError("ClusterShell does not read the linked file correctly; the link was undone")


def _is_ours(link: Path, name: str) -> bool:
    return link.is_symlink() and link.readlink().name == name


def _folder(configured: _Configured) -> Path:
    for folder in reversed(configured.autodirs):
        there = folder if folder.exists() else folder.parent
        if _is_ours_to_write(there):
            return folder
    raise _no_folder(configured)


def _is_ours_to_write(folder: Path) -> bool:
    try:
        found = folder.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022 and os.access(folder, os.W_OK | os.X_OK)


def _no_folder(configured: _Configured) -> SettingsError:
    own = Path(config_paths("groups.conf")[3]).parent
    if not configured.files:
        text = "'[Main]\\nautodir: $CFGDIR/groups.d\\n'"
        return SettingsError(
            "ClusterShell has no groups.conf",
            hint=f"`mkdir -p {own}/groups.d && printf {text} > {own}/groups.conf`, then repeat the command",
        )
    last, tried = configured.files[-1], " ".join(map(str, configured.autodirs)) or "none"
    if last.parent == own:
        return SettingsError(
            f"{last} names no folder of yours for YAML files (autodir: {tried})",
            hint="write `autodir: $CFGDIR/groups.d` under its `[Main]`, then repeat the command",
        )
    return SettingsError(
        f"ClusterShell reads no folder of yours for YAML files (autodir: {tried})",
        hint=f"`mkdir -p {own} && cp {last} {own}/`, with what it reads from $CFGDIR (now {last.parent}); then again",
    )


def _configured() -> _Configured:
    paths = config_paths("groups.conf")
    config = ConfigParser(interpolation=None)
    try:
        files = tuple(Path(path) for path in config.read(paths))
        resolver = GroupResolverConfig(paths)
        default: str | None = resolver.default_source_name
        sources = tuple(resolver.sources()) if default is not None else ()
        folders = shlex.split(config.get("Main", "autodir", fallback=""))
    except (Error, GroupResolverConfigError, GroupResolverError, ValueError, OSError, RecursionError) as error:
        raise SettingsError(
            f"ClusterShell's groups cannot be read: {' '.join(str(error).split())}",
            hint="`nodeset -ll` shows what ClusterShell says; nothing was done",
        ) from error
    here = str(files[-1].parent) if files else ""
    return _Configured(
        files=files,
        autodirs=_expanded(folders, here),
        names_default=bool(config.get("Main", "default", fallback="")),
        sources=sources,
        default=default,
    )


def _expanded(folders: Sequence[str], cfgdir: str) -> tuple[Path, ...]:
    expanded = (Path(Template(folder).safe_substitute(CFGDIR=cfgdir)) for folder in folders)
    return tuple(folder for folder in dict.fromkeys(expanded) if folder.is_absolute())
