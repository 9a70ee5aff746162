"""Reads the INI files of ClusterShell's configuration as it does: `groups.conf`, `clush.conf`, and their parts."""

import configparser
import glob
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from string import Template

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.settings.trusted_file import ExaminedFile, Reader, examine
from clbalance.written_text import NotUtf8Error, utf8_text

MAIN = "Main"
_MAX_BYTES = 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IniKind:
    """What a file is, in words for messages."""

    file: str
    """Its usual name."""
    noun: str
    expected: str


def read_ini(path: Path) -> ExaminedFile | None:
    """Read a file. None if it is missing or closed to us, as in ClusterShell; `SettingsError` if it is no text file."""
    # The owner of the installation is trusted: this program belongs to that user.
    owners = [Path(sys.prefix).stat().st_uid] if Path(sys.prefix) in path.parents else []
    try:
        return examine(path, _MAX_BYTES, Reader.here(*owners))
    except OSError:
        return None


def text_of(path: Path, file: ExaminedFile) -> str:
    """The text of a file; `SettingsError` if it is not UTF-8."""
    try:
        text = utf8_text(file.content)
    except NotUtf8Error as error:
        raise SettingsError(f"{path}: {error}", hint=error.hint) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(path: Path, text: str, kind: IniKind) -> configparser.ConfigParser:
    """One file; `SettingsError` if it cannot be parsed."""
    own = configparser.ConfigParser()
    try:
        own.read_string(text, str(path))
    except configparser.MissingSectionHeaderError as error:
        raise _not_of_its_kind(path, error.lineno, error.line, kind) from error
    except configparser.ParsingError as error:
        raise _not_of_its_kind(path, *error.errors[0], kind) from error
    except (configparser.DuplicateSectionError, configparser.DuplicateOptionError) as error:
        what = f"`{error.option}` of `[{error.section}]`" if hasattr(error, "option") else f"`[{error.section}]`"
        raise SettingsError(f"{path}:{error.lineno}: {what} already exists above", hint="keep one of them") from error
    return own


def files_in(folders: str, cfgdir: str, pattern: str, kind: IniKind) -> Iterator[tuple[str, Path]]:
    """The files of each folder in a list such as `/etc/x $CFGDIR/x`, with the folder; `SettingsError` if it is none."""
    for named in dict.fromkeys(
        os.path.normpath(Template(folder).safe_substitute(CFGDIR=cfgdir)) for folder in shlex.split(folders)
    ):
        if os.path.exists(named) and not os.path.isdir(named):  # noqa: PTH110, PTH112 - a NUL in it is no error here
            raise SettingsError(f"{named}: not a folder", hint=f"it is named in {cfgdir}/{kind.file}")
        for file in sorted(glob.glob(f"{named}/{pattern}")):  # noqa: PTH207 - the very pattern that ClusterShell takes
            yield named, Path(file)


def _not_of_its_kind(path: Path, line: int, text: str, kind: IniKind) -> SettingsError:
    """The error for a line that does not belong there. configparser gives some lines as their repr."""
    shown = text.strip("'").removesuffix("\\n").strip()[:80]
    return SettingsError(f"{path}:{line}: not a {kind.noun}: {shown}", hint=kind.expected)
