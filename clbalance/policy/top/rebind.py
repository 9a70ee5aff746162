"""Keys of `top` that the settings change: `[top.keys]` has actions, each with its keys. Pure."""

from collections.abc import Mapping

from clbalance.near_words import nearest
from clbalance.policy.top.keys import ACTIONS, BINDINGS, Command, Keys, is_key, shown_key

NAMES = {command.name.lower(): command for command, _ in BINDINGS}
"""What the settings call each action."""
_CONFIRMS = "y"
_INTERNAL = {"space": " ", **{f"ctrl-{letter}": f"c-{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"}}
"""Names that prompt_toolkit writes in another way."""


def read_keys(given: Mapping[str, object]) -> dict[str, tuple[str, ...]] | str:
    """The keys of each action that is named; or what is wrong, in words.

    An array may be empty: the action has no key then. All other actions keep theirs, so none of these may be used.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, value in given.items():
        if name not in NAMES:
            near = nearest(name, NAMES)
            hint = f"did you mean `{near}`?" if near else f"there are {', '.join(NAMES)}"
            return f"a table with {name[:60]!a}, which is no action: {hint}"
        keys = value if isinstance(value, list) else [value]
        read = [_read(key) for key in keys]
        if None in read:
            bad = next(key for key, one in zip(keys, read, strict=True) if one is None)
            return f"a table where {name} is {str(bad)[:60]!a}, which is no key"
        found[name] = tuple(key for key in dict.fromkeys(read) if key is not None)
    return _conflict(found) or found


def _read(typed: object) -> str | None:
    if not isinstance(typed, str):
        return None
    name = typed if len(typed) == 1 else typed.casefold()
    return name if is_key(_internal(name)) else None


def _internal(name: str) -> str:
    return _INTERNAL.get(name, name)


def rebound(changed: Mapping[str, tuple[str, ...]]) -> Keys:
    """The keys with these changes, which `read_keys` has accepted."""
    return Keys(tuple((one, tuple(map(_internal, changed.get(one.name.lower(), keys)))) for one, keys in BINDINGS))


def _conflict(changed: Mapping[str, tuple[str, ...]]) -> str:
    """Two actions with one key, or an action whose second press would confirm it; empty: there is none."""
    owners: dict[str, Command] = {}
    for command, keys in rebound(changed).bindings:
        name = command.name.lower()
        for key in keys:
            if owners.get(key, command) is not command:
                return f"a table where `{shown_key(key)}` is both {owners[key].name.lower()} and {name}"
            if key == _CONFIRMS and command in ACTIONS:
                return f"a table where `y` is {name}: it answers questions, so pressed twice it would do it unasked"
            owners[key] = command
    return ""
