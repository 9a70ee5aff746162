"""Find a playbook: a file that was named, or one with this name in the user's folder, the system's, or the program's.

A playbook makes commands run. So no other user may be able to write it, as with settings (`settings/trusted_file.py`).
"""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from clbalance.cli.play.folders import ENDS, playbook_folders, playbooks_in
from clbalance.errors import UsageError
from clbalance.lazy_dataclass import dataclass
from clbalance.model.playbook import Playbook
from clbalance.near_words import did_you_mean
from clbalance.playbook.document import MOST_BYTES
from clbalance.playbook.load import load_playbook
from clbalance.settings.trusted_file import read_trusted


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaybookFile:
    """A playbook's file. `name`: as typed for one that is found by its name."""

    name: str
    path: Path

    def read(self) -> bytes:
        """Its bytes. `UsageError` if it cannot be read, or others may write it."""
        try:
            return read_trusted(self.path, MOST_BYTES)
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            hint = "`clbalance play --list` shows those that are found by name"
            raise UsageError(f"{self.path}: {reason}", hint=hint if error.errno == errno.ENOENT else "") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayText:
    """A playbook as it was read. `file`: its absolute path, or the name of one that ships."""

    playbook: Playbook
    file: str
    text: str
    typed: Mapping[str, str]

    @property
    def folder(self) -> str:
        """Where the sources of `copy` are."""
        return str(Path(self.file).parent)


def read_playbook(word: str, typed: Mapping[str, str]) -> PlayText:
    """The playbook that `word` names. `UsageError` for one that cannot be found, read or used."""
    found = find_playbook(word)
    data = found.read()
    playbook = load_playbook(data, str(found.path), typed, name=found.name)
    text = data.decode("utf-8-sig", "replace")
    return PlayText(playbook=playbook, file=os.path.realpath(found.path), text=text, typed=typed)


def named(word: str | None) -> str:
    """The playbook as typed. `UsageError` if none was."""
    if word is None:
        raise UsageError("no playbook named", hint="`clbalance play NAME`; `clbalance play --list` shows them")
    return word


def find_playbook(word: str) -> PlaybookFile:
    """A file if `word` has a slash or ends as YAML does; otherwise the first playbook with this name."""
    if "/" in word or word.endswith(ENDS):
        path = Path(word)
        return PlaybookFile(name=path.name.removesuffix(path.suffix), path=path)
    named = {one.name: one for one in reversed(list(playbook_files()))}
    if word in named:
        return named[word]
    listed = "`clbalance play --list` shows them; a file needs its path: `./FILE`"
    raise UsageError(f"there is no playbook `{word}`", hint=did_you_mean(word, named, listed))


def playbook_files() -> Iterator[PlaybookFile]:
    """All that are found by name, the one that counts first, in the order of their names in each folder."""
    for folder in playbook_folders():
        for path in playbooks_in(folder):
            yield PlaybookFile(name=path.stem, path=path)
