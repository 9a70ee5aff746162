"""Where playbooks are found by name. Completion imports this at each press of the Tab key."""

import os
from collections.abc import Iterator
from pathlib import Path

from clbalance.settings.user_folder import user_folder

ENDS = (".yml", ".yaml")
_SYSTEM = Path("/etc/clbalance/playbooks")
_PACKAGE = Path(__file__).parents[2]


def playbook_folders() -> list[Path]:
    """The strongest first."""
    own = user_folder(os.environ)
    return [*([own / "playbooks"] if own else []), _SYSTEM, shipped_folder()]


def shipped_folder() -> Path:
    """Of the playbooks that come with the program: in the package of a wheel, or beside it in a source tree."""
    installed = _PACKAGE / "playbooks"
    return installed if installed.is_dir() else _PACKAGE.parent / "playbooks"


def playbooks_in(folder: Path) -> Iterator[Path]:
    """The files that are playbooks by their names, in that order; none if the folder cannot be read."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - one name may be undecodable
    except OSError:
        return
    yield from (folder / name for name in names if name.endswith(ENDS) and not name.startswith("."))
