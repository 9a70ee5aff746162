"""Carry out `config path`."""

import os
from collections.abc import Iterator
from pathlib import Path

from clbalance.cli.here import here
from clbalance.cli.screen import Screen
from clbalance.errors import ExitCode, SettingsError, StoreError
from clbalance.render.reports.config import Place, PlacesReport
from clbalance.settings.load import load_settings
from clbalance.settings.sources import settings_files
from clbalance.store.location import state_directory, this_machine
from clbalance.transport.groups import group_files


def show_places(screen: Screen) -> int:
    """Also where a file is broken: it is looked for all the same."""
    screen.show(PlacesReport((*_settings(), *_groups(), _state())))
    return ExitCode.DONE


def _settings() -> Iterator[Place]:
    """The strongest first."""
    for path in settings_files(os.environ, here()):
        yield Place(what="settings", path=str(path), is_there=_is_there(path))


def _groups() -> Iterator[Place]:
    """The last word first, as of the settings."""
    try:
        configured = load_settings(os.environ, here()).groups_conf
    except SettingsError as error:
        configured = None
        yield Place(what="groups", path="groups_conf", is_there=False, remark=f"not known: {error.message}")
    if configured:
        yield Place(what="groups", path=configured, is_there=_is_there(Path(configured)))
    for path in reversed(group_files()):
        yield Place(what="groups", path=str(path), is_there=_is_there(path))


def _state() -> Place:
    try:
        found = state_directory(os.environ, this_machine())
    except StoreError as error:
        return Place(what="state", path="-", is_there=False, remark=error.message)
    return Place(what="state", path=str(found.path), is_there=True, remark=found.note or "")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # what we may not see is not read
