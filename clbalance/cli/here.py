"""The folder that this call stands in."""

import os
from pathlib import Path


def here() -> Path:
    """The current folder; of one that was deleted under us, the name that the shell has for it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path(os.environ.get("PWD", "/"))
