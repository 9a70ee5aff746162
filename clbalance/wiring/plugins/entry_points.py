"""Entry points of installed Python packages that the settings name. No other is ever loaded.

An error of a plug-in becomes a `SettingsError` with its name; whoever calls decides what that means.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from clbalance.errors import SettingsError
from clbalance.near_words import did_you_mean
from clbalance.probe.frame import words_of
from clbalance.settings.values import EntryPoints

_MOST_WORDS: Final = 200


def loaded(kind: str, name: str) -> Any:
    """The object that an installed package gives for `name` in the group `clbalance.KIND`."""
    from importlib.metadata import entry_points  # takes 10 ms, and few sites have any

    group = f"clbalance.{kind}"
    found = entry_points(group=group, name=name)
    if not found:
        known = sorted(entry_points(group=group).names)
        otherwise = (
            f"installed are {', '.join(known)}" if known else "no installed package has any; `pip list` shows all"
        )
        raise SettingsError(f"{plugin_name(kind, name)} is not installed", hint=did_you_mean(name, known, otherwise))
    if len({one.value for one in found}) > 1:
        raise SettingsError(f"{plugin_name(kind, name)} is installed by several packages", hint="uninstall all but one")
    with contained(kind, name):
        return next(iter(found)).load()


class _Prints:
    """Sends what is printed to standard error, until the last block of any thread has ended.

    `contextlib.redirect_stdout` would leave it there for good where the blocks of two threads overlap.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks = 0
        self._stdout: TextIO = sys.stdout

    def __enter__(self) -> None:
        with self._lock:
            if not self._blocks:
                self._stdout, sys.stdout = sys.stdout, sys.stderr
            self._blocks += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._blocks -= 1
            if not self._blocks:
                sys.stdout = self._stdout


_PRINTS: Final = _Prints()


@contextmanager
def contained(kind: str, name: str) -> Iterator[None]:
    """Around code of a plug-in: what it raises becomes a `SettingsError`, and what it prints goes to standard error."""
    try:
        with _PRINTS:
            yield
    except SettingsError:
        raise
    except (Exception, SystemExit) as error:
        raise failed(kind, name, error) from error


def problems(named: EntryPoints) -> Iterator[SettingsError]:
    """What is wrong with the named entry points. All of them are loaded, and none is called."""
    names = {"scorers": named.scorers, "filters": named.filters, "groups": named.groups, "notifiers": named.notifiers}
    for kind, name in ((kind, name) for kind, of_kind in names.items() for name in of_kind):
        try:
            if not callable(found := loaded(kind, name)):
                yield SettingsError(
                    f"{plugin_name(kind, name)} is a {type(found).__name__}, and must be a function",
                    hint="in the package that it comes from: `entry_points` name `module:function`",
                )
        except SettingsError as error:
            yield error


def plugin_name(kind: str, name: str) -> str:
    """The plug-in in a message: `the filter licences`."""
    return f"the {kind.removesuffix('s')} {name}"


def failed(kind: str, name: str, error: BaseException) -> SettingsError:
    """What went wrong in a plug-in, with its name."""
    return SettingsError(
        f"{plugin_name(kind, name)} failed: {error_text(error)}", hint=f"mend it, or take it out of `plugins.{kind}`"
    )


def error_text(error: BaseException) -> str:
    """A foreign error in one line."""
    said = words_of(str(error), most=_MOST_WORDS)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def program_text(name: str, place: str) -> str:
    """The program's text that an entry point of `clbalance.probes` gives: a string, or a function that returns one."""
    try:
        found = loaded("probes", name)
        with contained("probes", name):
            text = found() if callable(found) else found
    except SettingsError as error:
        raise SettingsError(f"{place}: {error.message}", hint=error.hint) from error
    if not isinstance(text, str):
        raise SettingsError(f"{place}: the probe {name} gives a {type(text).__name__}, and no text of a program")
    return text
