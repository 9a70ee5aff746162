"""Reading one settings file: one that others may write is not read at all.

`ssh.options` can run a program (`ProxyCommand`), so a settings file is as good as a shell script of its owner's.
"""

import os
import stat
import tomllib
from pathlib import Path

from clbalance.errors import SettingsError

_MAX_BYTES = 1 << 20


def read_toml(path: Path) -> dict[str, object]:
    """The tables of `path`, or a `SettingsError` that says why there are none."""
    try:
        with open(path, "rb", opener=_open) as file:
            _refuse_untrustworthy(path, os.fstat(file.fileno()))
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", hint="is CLBALANCE_CONFIG right?") from error
    if len(content) > _MAX_BYTES:
        raise SettingsError(f"{path}: larger than {_MAX_BYTES} bytes")
    return _parsed(path, content)


def _open(path: str, flags: int) -> int:
    # Without O_NONBLOCK a FIFO of that name would hold us up for ever.
    return os.open(path, flags | os.O_NONBLOCK)


def _refuse_untrustworthy(path: Path, facts: os.stat_result) -> None:
    if not stat.S_ISREG(facts.st_mode):
        raise SettingsError(f"{path}: not a regular file")
    if facts.st_uid not in {0, os.geteuid()}:
        raise SettingsError(
            f"{path}: belongs to uid {facts.st_uid}, and could run any command as you",
            hint="use your own copy, or name another file with CLBALANCE_CONFIG",
        )
    if facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SettingsError(f"{path}: others may write to it", hint=f"type `chmod go-w {path}`")


def _parsed(path: Path, content: bytes) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path}: line {line} is not UTF-8", hint="save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        # Its message ends with the place: "Invalid value (at line 3, column 9)".
        raise SettingsError(f"{path}: {error}", hint="the syntax is that of https://toml.io") from error
    except RecursionError as error:
        raise SettingsError(f"{path}: nested too deeply") from error
