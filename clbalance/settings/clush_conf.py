"""The settings of ClusterShell's `clush.conf`, which apply where ours say nothing (docs/design/settings.md).

Files and folders are found and merged as clush does. The file that comes with ClusterShell counts as no file.
"""

import configparser
import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from clbalance.errors import SettingsError
from clbalance.settings.document import Document
from clbalance.settings.ini_files import MAIN, IniKind, files_in, parsed, read_ini, text_of
from clbalance.settings.keys import KEYS, Misfit, Number, Value

_KIND = IniKind(file="clush.conf", noun="clush.conf", expected="a `[Main]` section with `ssh_user: NAME` and the like")
_OURS = {
    "ssh_user": "ssh.user",
    "ssh_options": "ssh.options",
    "ssh_path": "ssh.path",
    "fanout": "ssh.fanout",
    "connect_timeout": "ssh.connect_timeout_s",
    "command_timeout": "ssh.probe_timeout_s",
}
_PACKAGED = {"fanout": "64", "connect_timeout": "15", "command_timeout": "0"}
"""What the file says that comes with ClusterShell, as it is or in a distribution's package."""


def clush_files(environment: Mapping[str, str], folder: Path) -> tuple[Path, ...]:
    """The paths of `clush.conf`; a later one overrides earlier ones.

    Without `HOME` there is no file of the user. A relative `XDG_CONFIG_HOME` is ignored, as XDG demands.
    `CLUSTERSHELL_CFGDIR` may be relative to `folder`, the user's working directory.
    """
    home, configured = environment.get("HOME", ""), environment.get("XDG_CONFIG_HOME", "")
    folders = ["/etc/clustershell"]
    folders += [f"{home}/.local/etc/clustershell"] if home.startswith("/") else []
    folders += [f"{sys.prefix}/etc/clustershell"]
    if configured.startswith("/"):
        folders += [f"{configured}/clustershell"]
    elif home.startswith("/"):
        folders += [f"{home}/.config/clustershell"]
    if named := environment.get("CLUSTERSHELL_CFGDIR"):
        folders += [str(folder / named)]
    return tuple(Path(folder, _KIND.file) for folder in folders)


def clush_settings(environment: Mapping[str, str], folder: Path) -> Iterator[Document]:
    """A document for each setting, with its file. `SettingsError` for a file that is malformed or not trusted."""
    merged, origins = configparser.ConfigParser(), dict[str, Path]()
    read = [path for path in clush_files(environment, folder) if _add(merged, origins, path)]
    if read:
        folders = _value(merged, "confdir", read[-1])
        for _, path in files_in(folders, str(read[-1].parent), "*.conf", _KIND):
            _add(merged, origins, path)
    for name, path in origins.items():
        value = _checked(name, _value(merged, name, path), path)
        if value is not None:
            yield Document(origin=str(path), values={_OURS[name]: value})


def _add(merged: configparser.ConfigParser, origins: dict[str, Path], path: Path) -> bool:
    """Add one file, and itself to the origins of what it sets. Returns whether it is there."""
    file = read_ini(path)
    if file is None:
        return False
    text = text_of(path, file)
    own = parsed(path, text, _KIND)
    found = {name: own.get(MAIN, name, raw=True) for name in _OURS if own.has_option(MAIN, name)}
    if found == _PACKAGED:
        text = f"[{MAIN}]\nconfdir: {own.get(MAIN, 'confdir', raw=True, fallback='')}"
    elif file.fault is not None and own.has_section(MAIN):
        raise file.fault
    else:
        origins |= dict.fromkeys(found, path)
    merged.read_string(text, str(path))
    return True


def _value(merged: configparser.ConfigParser, name: str, path: Path) -> str:
    """A value with its references filled in; empty if it is not set."""
    try:
        return merged.get(MAIN, name, fallback="")
    except configparser.InterpolationError as error:
        shown = " ".join(str(error).split())
        raise SettingsError(f"{path}: `{name}`: {shown}", hint="a `%` is written `%%` there") from error


def _checked(name: str, text: str, path: Path) -> Value:
    """A value within our bounds; None for an empty one, and for 0, which means no limit to clush: ours stays."""
    kind = KEYS[_OURS[name]]
    if not text:
        return None
    if isinstance(kind, Number):
        return _bounded(name, text, kind, path)
    value = kind.read_text(text)
    if isinstance(value, Misfit):
        raise _wrong(name, value, kind.expected, path)
    return value


def _bounded(name: str, text: str, kind: Number, path: Path) -> Value:
    try:
        number = int(text) if kind.whole else float(text)
    except ValueError:
        raise _wrong(name, Misfit(f"{text[:40]!r}"), "a number", path) from None
    if math.isnan(number) or number <= 0:
        return None
    return max(kind.at_least, min(number, kind.at_most))


def _wrong(name: str, found: Misfit, expected: str, path: Path) -> SettingsError:
    return SettingsError(f"{path}: `{name}` is {found.given}", hint=f"give {expected}")
