"""Read one settings file; a file that other users may write is refused.

`ssh.options` can run a program (`ProxyCommand`), so a settings file has the power of a shell script.
"""

import tomllib
from pathlib import Path

from clbalance.errors import SettingsError
from clbalance.settings.trusted_file import read_trusted
from clbalance.written_text import NotUtf8Error, utf8_text

_MAX_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, object]:
    """The tables of `path`; `SettingsError` if the file is not trusted, not readable or not TOML."""
    try:
        content = read_trusted(path, _MAX_BYTES)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", hint="is CLBALANCE_CONFIG right?") from error
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(utf8_text(content))
    except NotUtf8Error as error:
        raise SettingsError(f"{path}: {error}", hint=error.hint) from error
    except tomllib.TOMLDecodeError as error:
        # tomllib's message ends with the position: "Invalid value (at line 3, column 9)".
        raise SettingsError(f"{path}: {error}", hint="the syntax is that of https://toml.io") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: nested too deeply") from error
