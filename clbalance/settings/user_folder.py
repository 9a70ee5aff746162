"""Where a user's own configuration is. Completion imports this at each press of the Tab key."""

from collections.abc import Mapping
from pathlib import Path


def user_folder(environment: Mapping[str, str]) -> Path | None:
    """The folder for what the user has configured; None: there is none."""
    # By the XDG specification relative paths are ignored. Under cron HOME may be missing: then there is no user file.
    if (configured := environment.get("XDG_CONFIG_HOME", "")).startswith("/"):
        return Path(configured) / "clbalance"
    if (home := environment.get("HOME", "")).startswith("/"):
        return Path(home) / ".config" / "clbalance"
    return None
