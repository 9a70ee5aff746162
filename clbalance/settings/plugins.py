"""The tables of plug-ins in `clbalance.toml`: `[index.NAME]`, `[check.NAME]` and `[plugins]` (docs/design/plugins.md).

Nothing is read or loaded here but the tables: a program's text is read by the verbs that ask nodes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.settings.keys import (
    CHECK,
    ENTRY_POINT,
    INDEX,
    Misfit,
    Number,
    Text,
    Value,
    ValueKind,
    YesOrNo,
    value_text,
)
from clbalance.settings.values import CheckSettings, IndexSettings, PluginTables, ProgramSettings

_NAME = r"[a-z][a-z0-9_]{0,30}"
_LEVEL = Number(at_least=-1e15, at_most=1e15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """An array of strings that may be arguments of a program."""

    expected: str = 'an array of strings such as `["-w", "10%"]`, 64 at most'

    def read(self, given: object) -> Value | Misfit:
        if not isinstance(given, list) or len(given) > 64:
            return Misfit(value_text(given))
        for word in given:
            if not isinstance(word, str) or not word.isprintable() or len(word) > 1000:
                return Misfit(f"an array with {value_text(word)}")
        return tuple(given)

    def read_text(self, text: str) -> Value | Misfit:
        return Misfit(value_text(text))  # no environment variable sets it


_PROGRAM: Mapping[str, ValueKind] = {
    "program": Text(
        expected='the path of a program here, whose text is sent to the nodes, such as "scratch.sh"', pattern=r".+"
    ),
    "node_program": Text(
        expected='the path of a program on the nodes, such as "/usr/lib/nagios/plugins/check_disk"',
        pattern=r"(/[A-Za-z0-9_+-][A-Za-z0-9_.+-]*)+",
    ),
    "arguments": Arguments(),
    "timeout_s": Number(at_least=1, at_most=30, whole=True),
}
INDEX_KEYS: Mapping[str, ValueKind] = {
    **_PROGRAM,
    "check": Text(expected="the NAME of a `[check.NAME]`", pattern=_NAME),
    "probe": Text(expected="the name of an entry point in the group `clbalance.probes`", pattern=ENTRY_POINT),
    "field": Text(expected="the name by which the program prints the value", pattern=r"\S.{0,63}"),
    "unit": Text(expected='"number", "percent" or "bytes"', pattern="number|percent|bytes"),
    "help": Text(expected="a line of text", pattern=r".{1,200}"),
    "busy_above": _LEVEL,
    "busy_below": _LEVEL,
    "column": YesOrNo(),
}
"""Keys of each `[index.NAME]`; exactly one of `program`, `node_program`, `check` and `probe` is required."""
CHECK_KEYS: Mapping[str, ValueKind] = _PROGRAM
"""Keys of each `[check.NAME]`; exactly one of `program` and `node_program` is required."""


_CheckedTable: TypeAlias = Callable[[str, object, Mapping[str, ValueKind]], dict[str, Value]]
"""Checks the keys of one table, whose place comes first."""


def plugin_tables(origin: str, tables: Mapping[str, object], checked: _CheckedTable) -> PluginTables:
    """The plug-ins of the file `origin`; `SettingsError` for a table that makes no sense by itself."""
    folder = Path(origin).parent
    indices = {
        name: _index(name, origin, folder, checked(f"{INDEX}.{name}", table, INDEX_KEYS))
        for name, table in _named(origin, INDEX, tables.get(INDEX, {}))
    }
    checks = {
        name: _check(name, origin, folder, checked(f"{CHECK}.{name}", table, CHECK_KEYS))
        for name, table in _named(origin, CHECK, tables.get(CHECK, {}))
    }
    return PluginTables(indices=indices, checks=checks)


def _named(origin: str, kind: str, given: object) -> Iterator[tuple[str, object]]:
    if not isinstance(given, Mapping):
        raise SettingsError(f"{origin}: `{kind}` is {value_text(given)}", hint=f"begin each with `[{kind}.NAME]`")
    for name, table in given.items():
        if not re.fullmatch(_NAME, name):
            raise SettingsError(
                f"{origin}: `[{kind}.…]` has the name {name[:60]!a}",
                hint="lower-case letters, digits and `_`, a letter first, 31 at most",
            )
        yield name, table


def _index(name: str, origin: str, folder: Path, values: Mapping[str, Value]) -> IndexSettings:
    place = f"{origin}: `[{INDEX}.{name}]`"
    source = _one_source(place, values, ("program", "node_program", "check", "probe"))
    above, below = _number(values.get("busy_above")), _number(values.get("busy_below"))
    if above is not None and below is not None and below >= above:
        raise SettingsError(
            f"{place}: every node is busy, above {above:g} or below {below:g}",
            hint="`busy_below` must be less than `busy_above`",
        )
    if source not in _PROGRAM and "arguments" in values:
        raise SettingsError(f"{place}: `arguments` goes with `program` or `node_program`", hint="leave it out")
    return IndexSettings(
        name=name,
        program=_program(folder, values) if source in _PROGRAM else None,
        check=_text(values.get("check")),
        probe=_text(values.get("probe")),
        field=_text(values.get("field")) or name,
        unit=_text(values.get("unit")) or "number",
        help=_text(values.get("help")),
        busy_above=above,
        busy_below=below,
        has_column=values.get("column") is not False,
        timeout_s=_timeout_s(values),
        origin=origin,
    )


def _check(name: str, origin: str, folder: Path, values: Mapping[str, Value]) -> CheckSettings:
    _one_source(f"{origin}: `[{CHECK}.{name}]`", values, ("program", "node_program"))
    return CheckSettings(name=name, program=_program(folder, values), origin=origin)


def _one_source(place: str, values: Mapping[str, Value], sources: tuple[str, ...]) -> str:
    found = [source for source in sources if source in values]
    if len(found) == 1:
        return found[0]
    said = f"has no {' or '.join(f'`{one}`' for one in sources)}" if not found else f"has `{found[0]}` and `{found[1]}`"
    raise SettingsError(f"{place} {said}", hint="give one of them")


def _program(folder: Path, values: Mapping[str, Value]) -> ProgramSettings:
    here, arguments = _text(values.get("program")), values.get("arguments", ())
    assert isinstance(arguments, tuple)
    return ProgramSettings(
        here=str(folder / Path(here).expanduser()) if here else "",
        there=_text(values.get("node_program")),
        arguments=arguments,
        timeout_s=_timeout_s(values),
    )


def _timeout_s(values: Mapping[str, Value]) -> int:
    return int(_number(values.get("timeout_s")) or 2)


def _number(value: Value) -> float | None:
    assert value is None or isinstance(value, int | float)
    return value


def _text(value: Value) -> str:
    assert value is None or isinstance(value, str)
    return value or ""
