"""`config show` and `config path`: the settings, and the places where files are looked for."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.plain import plain_lines
from clbalance.render.report import Display, Report
from clbalance.render.table import Cell, Column, Table, Tone
from clbalance.render.text import DASH, Json

_SHOWN = (Column(heading="KEY"), Column(heading="FROM"), Column(heading="VALUE"))
_PLACES = (Column(heading="WHAT"), Column(heading="FOUND"), Column(heading="PATH"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """One key of the settings. `value` None: it is not set, and has no default."""

    key: str
    value: Json
    origin: str
    """A file (also one of ClusterShell's), a variable, `command line`, `default`, or `chosen` for `auto`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPlace:
    """A place where something is looked for; `what` is `settings`, `clush`, `groups` or `state`."""

    what: str
    path: str
    is_there: bool
    remark: str = ""


@dataclass(frozen=True, slots=True)
class SettingsReport(Report):
    """Every setting, and where it was set."""

    keys: tuple[ShownKey, ...]

    def human(self, display: Display) -> str:
        """A table of all keys; the origin of keys that were set is highlighted."""
        rows = tuple(
            (Cell(one.key), Cell(one.origin, _tone(one.origin != "default")), Cell(_in_words(one.value)))
            for one in self.keys
        )
        return display.table(Table(columns=_SHOWN, rows=rows), last="fold")

    def plain(self) -> str:
        return plain_lines((one.key, _in_words(one.value), one.origin) for one in self.keys)

    def json(self) -> dict[str, Json]:
        return {"settings": {one.key: {"value": one.value, "origin": one.origin} for one in self.keys}}


@dataclass(frozen=True, slots=True)
class PlacesReport(Report):
    """The places where files are looked for, in that order."""

    places: tuple[ConfigPlace, ...]

    def human(self, display: Display) -> str:
        rows = tuple(
            (
                Cell(one.what),
                Cell("yes" if one.is_there else "no", _tone(one.is_there)),
                Cell(f"{one.path}  {one.remark}".rstrip()),
            )
            for one in self.places
        )
        return display.table(Table(columns=_PLACES, rows=rows), last="fold")

    def plain(self) -> str:
        return plain_lines((one.what, int(one.is_there), one.path, one.remark) for one in self.places)

    def json(self) -> dict[str, Json]:
        return {
            "places": [
                {"what": one.what, "path": one.path, "is_there": one.is_there, "remark": one.remark or None}
                for one in self.places
            ]
        }


@dataclass(frozen=True, slots=True)
class CheckReport(Report):
    """The settings files that were read, and are in order. People have been told on standard error."""

    files: tuple[str, ...]

    def human(self, display: Display) -> str:
        return ""

    def plain(self) -> str:
        return plain_lines((path,) for path in self.files)

    def json(self) -> dict[str, Json]:
        return {"files": list(self.files)}


def _in_words(value: Json) -> str:
    """A value in short form; strings have no quotes."""
    match value:
        case Mapping():
            return " ".join(f"{name}={_inner(one)}" for name, one in value.items())
        case None | "":
            return DASH
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _inner(value: Json) -> str:
    match value:
        case Mapping():
            return "{" + ",".join(f"{name}={_in_words(one)}" for name, one in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_in_words, value)) + "]"
        case _:
            return _in_words(value)


def _tone(stands_out: bool) -> Tone:
    return Tone.GOOD if stands_out else Tone.QUIET
