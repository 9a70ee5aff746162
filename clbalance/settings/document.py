"""One settings file, checked against the known keys: from TOML tables to values by dotted path, or `SettingsError`."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from clbalance.errors import SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.near_words import nearest
from clbalance.settings.keys import (
    CHECK,
    GROUP_KEYS,
    GROUPS,
    INDEX,
    KEYS,
    NODE_KEYS,
    NODES,
    Misfit,
    Value,
    ValueKind,
    value_text,
)
from clbalance.settings.values import GroupPolicy, NodeFacts, PluginTables

_TABLES = frozenset({NODES, GROUPS, INDEX, CHECK})
"""Tables with an entry for each node set, group or plug-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The settings of one file; `origin` is its path."""

    origin: str
    values: Mapping[str, Value]
    nodes: tuple[NodeFacts, ...] = ()
    groups: tuple[GroupPolicy, ...] = ()
    plugins: PluginTables = field(default_factory=PluginTables)


def checked(origin: str, tables: Mapping[str, object]) -> Document:
    """`tables` as a `Document`; `SettingsError` for the first key that is unknown or has a bad value."""
    rest = {key: value for key, value in tables.items() if key not in _TABLES}
    return Document(
        origin=origin,
        values={path: fitting(origin, path, KEYS[path], value) for path, value in _leaves(origin, "", rest, KEYS)},
        nodes=tuple(_node_facts(origin, tables.get(NODES, []))),
        groups=tuple(_group_policies(origin, tables.get(GROUPS, []))),
        plugins=_plugins(origin, tables),
    )


def _plugins(origin: str, tables: Mapping[str, object]) -> PluginTables:
    if INDEX not in tables and CHECK not in tables:
        return PluginTables()
    from clbalance.settings.plugins import plugin_tables  # few sites have any

    return plugin_tables(origin, tables, lambda place, table, kinds: _checked_table(origin, place, table, kinds))


def fitting(origin: str, path: str, kind: ValueKind, given: object) -> Value:
    """`given` as a checked value; otherwise a `SettingsError` that says what is expected."""
    value = kind.read(given)
    if isinstance(value, Misfit):
        raise misfit(origin, path, kind, value)
    return value


def misfit(origin: str, path: str, kind: ValueKind, found: Misfit) -> SettingsError:
    """The error for a bad value, with the expected kind of value in its hint."""
    return SettingsError(f"{origin}: `{path}` is {found.given}", hint=f"give {kind.expected}")


def _leaves(origin: str, above: str, table: Mapping[str, object], known: Iterable[str]) -> Iterator[tuple[str, object]]:
    """Each known key with its value. A table is known if a known key lies in it; `SettingsError` for an unknown key."""
    for key, value in table.items():
        # A quoted key may hold a dot, and `"ssh.fanout" = 1` is not `fanout` of `[ssh]`.
        path = above + key if "." not in key else f'{above}"{key}"'
        below = f"{path}."
        if path in known:
            yield path, value
        elif any(name.startswith(below) for name in known):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{origin}: `{path}` is {value_text(value)}", hint=f"make it a table: `[{path}]`")
            yield from _leaves(origin, below, value, known)
        else:
            raise _unknown(origin, path, above, {*known, *_TABLES} if not above else known)


def _unknown(origin: str, path: str, above: str, known: Iterable[str]) -> SettingsError:
    allowed = sorted({name.removeprefix(above).partition(".")[0] for name in known if name.startswith(above)})
    near = nearest(path.removeprefix(above), allowed)
    elsewhere = [name for name in known if name.endswith("." + path.removeprefix(above))]
    where = f"in `[{above.removesuffix('.')}]`" if above else "at the top"
    if near:
        hint = f"did you mean `{above}{near}`? Allowed {where}: "
    elif elsewhere:
        hint = f"did you mean `{elsewhere[0]}`? Allowed {where}: "
    else:
        hint = f"allowed {where}: "
    return SettingsError(f"{origin}: unknown key `{path}`", hint=hint + ", ".join(f"`{name}`" for name in allowed))


def _node_facts(origin: str, given: object) -> Iterator[NodeFacts]:
    for place, values in _entries(origin, NODES, given, NODE_KEYS):
        if "set" not in values:
            raise SettingsError(f"{origin}: `{place}` has no `set`", hint='say which nodes: `set = "gpu[1-4]"`')
        slots = number_of(values.get("slots"))
        labels, taints = values.get("labels"), values.get("taints")
        yield NodeFacts(
            node_set=str(values["set"]),
            cpu_factor=number_of(values.get("cpu_factor")),
            slots=None if slots is None else int(slots),
            price_cpu_hour=number_of(values.get("price_cpu_hour")),
            price_gpu_hour=number_of(values.get("price_gpu_hour")),
            labels={name: str(one) for name, one in labels.items()} if isinstance(labels, Mapping) else {},
            taints=taints if isinstance(taints, tuple) else (),
            origin=origin,
        )


def _group_policies(origin: str, given: object) -> Iterator[GroupPolicy]:
    for place, values in _entries(origin, GROUPS, given, GROUP_KEYS):
        if "group" not in values:
            raise SettingsError(f"{origin}: `{place}` has no `group`", hint='say which: `group = "gpu-nodes"`')
        name = values.get("policy")
        weights = {
            key.removeprefix("weights."): number
            for key, value in values.items()
            if key.startswith("weights.") and (number := number_of(value)) is not None
        }
        yield GroupPolicy(
            group=str(values["group"]), name=None if name is None else str(name), weights=weights, origin=origin
        )


def _entries(
    origin: str, tables: str, given: object, kinds: Mapping[str, ValueKind]
) -> Iterator[tuple[str, dict[str, Value]]]:
    """For each `[[tables]]` entry its position, for messages, and its checked values by dotted path."""
    if not isinstance(given, list) or not all(isinstance(table, Mapping) for table in given):
        raise SettingsError(
            f"{origin}: `{tables}` is {value_text(given)}", hint=f"begin each entry with `[[{tables}]]`"
        )
    for number, table in enumerate(given, start=1):
        place = f"{tables}[{number}]"
        yield place, _checked_table(origin, place, table, kinds)


def _checked_table(origin: str, place: str, given: object, kinds: Mapping[str, ValueKind]) -> dict[str, Value]:
    """The checked values of one table by dotted path."""
    if not isinstance(given, Mapping):
        raise SettingsError(f"{origin}: `{place}` is {value_text(given)}", hint=f"make it a table: `[{place}]`")
    leaves = _leaves(origin, f"{place}.", given, [f"{place}.{key}" for key in kinds])
    found = ((path.removeprefix(f"{place}."), value) for path, value in leaves)
    return {key: fitting(origin, f"{place}.{key}", kinds[key], value) for key, value in found}


def number_of(value: Value) -> float | None:
    """A value that was checked as a `Number`, or None."""
    assert value is None or isinstance(value, int | float)
    return value
