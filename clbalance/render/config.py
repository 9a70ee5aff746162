"""What `config show` and `config path` tell."""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.render.figures import DASH
from clbalance.render.json_value import Json
from clbalance.render.table import Cell, Column, Table, Tone

_SHOWN = (Column(heading="KEY"), Column(heading="FROM"), Column(heading="VALUE"))
_PLACES = (Column(heading="WHAT"), Column(heading="FOUND"), Column(heading="PATH"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownKey:
    """One key of the settings; value None: not set, and without a default."""

    key: str
    value: Json
    origin: str
    """A file, a variable, `command line` or `default`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where something is looked for: `settings`, `groups` or `state`."""

    what: str
    path: str
    is_there: bool
    remark: str = ""


def settings_table(keys: tuple[ShownKey, ...]) -> Table:
    """What was set stands out by where it comes from."""
    return Table(
        columns=_SHOWN,
        rows=tuple(
            (Cell(one.key), Cell(one.origin, _tone(one.origin != "default")), Cell(told(one.value))) for one in keys
        ),
    )


def places_table(places: tuple[Place, ...]) -> Table:
    """In the order in which they are looked at."""
    return Table(
        columns=_PLACES,
        rows=tuple(
            (
                Cell(one.what),
                Cell("yes" if one.is_there else "no", _tone(one.is_there)),
                Cell(f"{one.path}  {one.remark}".rstrip()),
            )
            for one in places
        ),
    )


def settings_document(keys: tuple[ShownKey, ...]) -> dict[str, Json]:
    """As programs read it."""
    return {"settings": {one.key: {"value": one.value, "origin": one.origin} for one in keys}}


def places_document(places: tuple[Place, ...]) -> dict[str, Json]:
    """As programs read it."""
    return {
        "places": [
            {"what": one.what, "path": one.path, "is_there": one.is_there, "remark": one.remark or None}
            for one in places
        ]
    }


def told(value: Json) -> str:
    """In few words: what is one string has no quotes."""
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
            return "{" + ",".join(f"{name}={told(one)}" for name, one in value.items()) + "}"
        case list():
            return "[" + ",".join(map(told, value)) + "]"
        case _:
            return told(value)


def _tone(stands_out: bool) -> Tone:
    return Tone.GOOD if stands_out else Tone.QUIET
