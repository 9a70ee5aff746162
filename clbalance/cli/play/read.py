"""Read the file of a playbook."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from clbalance.cli.play.run_play import PlayText
from clbalance.errors import UsageError
from clbalance.playbook.load import load_playbook

_MOST_BYTES: Final = 1 << 20


def read_play(name: str, typed: Mapping[str, str]) -> PlayText:
    """The checked playbook of a file. `UsageError` says what is wrong, and where."""
    path = Path(name)
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{name}: {error.strerror or error}", hint="`clbalance play FILE`: the file of a playbook"
        ) from error
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{name}: larger than 1 MiB", hint="a playbook is short: `copy` brings files to nodes")
    playbook = load_playbook(data, name, typed)
    return PlayText(playbook=playbook, file=os.path.realpath(path), text=data.decode("utf-8", "replace"), typed=typed)
