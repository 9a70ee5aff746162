"""Which files may hold settings. None is opened here."""

import os
from collections.abc import Mapping
from pathlib import Path

FILE_NAME = "clbalance.toml"
SYSTEM_FILE = Path("/etc/clbalance") / FILE_NAME


def settings_files(environment: Mapping[str, str], folder: Path, system_file: Path = SYSTEM_FILE) -> tuple[Path, ...]:
    """The files that are read where they exist, the strongest first; `folder` is where the user stands.

    Folders above it are not searched: what applies should not depend on where a home or a scratch disk is mounted.
    """
    if named := environment.get("CLBALANCE_CONFIG"):
        return () if named == os.devnull else (folder / named,)
    return (folder / FILE_NAME, *_user_file(environment), system_file)


def _user_file(environment: Mapping[str, str]) -> tuple[Path, ...]:
    # The XDG specification has relative paths ignored. cron may have no HOME: then there is no such file.
    if (configured := environment.get("XDG_CONFIG_HOME", "")).startswith("/"):
        return (Path(configured) / "clbalance" / FILE_NAME,)
    if (home := environment.get("HOME", "")).startswith("/"):
        return (Path(home) / ".config" / "clbalance" / FILE_NAME,)
    return ()
