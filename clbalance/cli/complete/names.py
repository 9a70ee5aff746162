"""The file of names for completion: groups, labels and taints, as the last commands have read them, one in a line."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from clbalance.errors import StoreError
from clbalance.store.location import state_directory, this_machine
from clbalance.wiring.small_file import read_small, replace_small

if TYPE_CHECKING:
    from clbalance.settings.values import NodeFacts

FILE = "completion-names"
_MOST = 5000
_PLAIN = re.compile(r"[A-Za-z0-9_.@][A-Za-z0-9_.@-]{0,254}")
"""Nothing that a shell expands, and no option."""


def is_plain(name: object) -> bool:
    """Whether a name may be offered to a shell."""
    return isinstance(name, str) and _PLAIN.fullmatch(name) is not None


class Groups(Protocol):
    """The part of `ConfiguredGroups` that is used here."""

    @property
    def default_name(self) -> str: ...

    def known_groups(self) -> dict[str, list[str] | None]: ...

    def list_default(self) -> bool: ...


def names_in(folder: Path | None, kind: str) -> list[str]:
    """The names of a kind: `group` as `SOURCE:NAME`, `default` and `asked` (sources), `label`, `taint`."""
    lines = (_text_in(folder) or "").splitlines() if folder is not None else []
    return [line.removeprefix(f"{kind} ") for line in lines if line.startswith(f"{kind} ")]


def remember_names(groups: Groups | None, facts: Iterable["NodeFacts"]) -> None:
    """Keep the names of groups, and those in the settings. Of a source that was not listed, the old ones stay.

    The default source is listed the first time that it has answered, which may run one more command of it. Without a
    state folder nothing is kept: opening the store tells of that.
    """
    try:
        folder = state_directory(os.environ, this_machine()).path
    except StoreError:
        return
    lines = sorted({*_of_settings(facts), *(() if groups is None else _of_groups(groups, folder))})
    text = "".join(f"{line}\n" for line in lines[:_MOST])
    if text != _text_in(folder):
        replace_small(folder / FILE, text)


def _text_in(folder: Path) -> str | None:
    try:
        return read_small(folder / FILE)
    except (OSError, ValueError):
        return None


def _of_groups(groups: Groups, folder: Path) -> Iterator[str]:
    default = groups.default_name
    if is_plain(default):
        yield f"default {default}"
        if default in names_in(folder, "asked") or groups.list_default():
            yield f"asked {default}"
    before = names_in(folder, "group")
    for source, listed in groups.known_groups().items():
        names = [name for of, _, name in (one.partition(":") for one in before) if of == source]
        yield from (f"group {source}:{name}" for name in (names if listed is None else listed) if _fit(source, name))


def _of_settings(facts: Iterable["NodeFacts"]) -> Iterator[str]:
    for entry in facts:
        yield from (f"label {name}={value}" for name, value in entry.labels.items() if _fit(name, value))
        yield from (f"taint {taint}" for taint in entry.taints if is_plain(taint))


def _fit(*names: str) -> bool:
    return all(map(is_plain, names))
