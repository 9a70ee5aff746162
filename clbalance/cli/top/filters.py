"""The filters that were typed, kept for the next call in a private file of the state folder."""

import os
from collections.abc import Callable
from dataclasses import replace

from clbalance.cli.shell.history import FileHistory
from clbalance.errors import StoreError
from clbalance.policy.top.state import TopState
from clbalance.store.location import state_directory, this_machine

_FILE = "top-filters"
_MOST = 100


class KeptFilters:
    """Of earlier calls, and of this one."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` gets the reason if they cannot be kept."""
        self._earlier: tuple[str, ...] = ()
        """Each once, the last one at the end."""
        self._file: FileHistory | None = None
        try:
            self._file = FileHistory(state_directory(os.environ, this_machine()).path / _FILE, tell)
        except StoreError as error:
            tell(f"filters are not kept: {error.message}")
        else:
            newest_first = dict.fromkeys(self._file.load_history_strings())
            self._earlier = tuple(newest_first)[:_MOST][::-1]
        self._last = self._earlier[-1] if self._earlier else ""

    def before(self, state: TopState) -> TopState:
        """The state with the earlier filters before its own."""
        return replace(state, history=(*self._earlier, *state.history))

    def note(self, history: tuple[str, ...]) -> None:
        """Keep the last one of these, if it is new."""
        if history and history[-1] != self._last:
            self._last = history[-1]
            if self._file is not None:
                self._file.store_string(self._last)
