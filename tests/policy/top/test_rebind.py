"""Keys of `top` that the settings change."""

import pytest

from clbalance.policy.top.keys import ACTIONS, BINDINGS, Command
from clbalance.policy.top.press import press
from clbalance.policy.top.rebind import NAMES, read_keys, rebound
from clbalance.policy.top.state import Focus, Shown, TopState


def test_an_action_can_have_other_keys_or_none() -> None:
    read = read_keys({"drain": "D", "page_down": ["PageDown", "ctrl-f", "space"], "tag": "t", "cancel": []})
    assert read == {"drain": ("D",), "page_down": ("pagedown", "ctrl-f", "space"), "tag": ("t",), "cancel": ()}
    keys = rebound(read)
    assert [keys.command(key) for key in ("D", "c-f", " ", "t", "c", "d")] == [
        Command.DRAIN, Command.PAGE_DOWN, Command.PAGE_DOWN, Command.TAG, None, None,
    ]  # fmt: skip
    assert "PgDn Ctrl-F Space" in [names for names, _ in keys.help()]
    assert "cancel jobs" not in [does for _, does in keys.help()]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"drian": "D"}, "did you mean `drain`?"),
        ({"drain": 1}, "drain is '1', which is no key"),
        ({"drain": ["D", "ctrl-z"]}, "drain is 'ctrl-z', which is no key"),
        ({"drain": "\x1b"}, r"drain is '\\x1b', which is no key"),
        ({"drain": ""}, "which is no key"),
        ({"drain": "c"}, "`c` is both drain and cancel"),
        ({"down": "f5", "up": "F5"}, "`F5` is both up and down"),
        ({"cancel": "y"}, "pressed twice"),
    ],
)
def test_what_is_wrong_is_told(given: dict[str, object], told: str) -> None:
    found = read_keys(given)
    assert isinstance(found, str)
    assert told in found


def test_keys_can_be_exchanged() -> None:
    read = read_keys({"drain": "c", "cancel": "d"})
    assert isinstance(read, dict)
    assert rebound(read).command("c") is Command.DRAIN


@pytest.mark.parametrize("command", ACTIONS)
def test_no_key_does_harm_however_often_it_is_pressed(command: Command) -> None:
    shown = Shown(keys=("a",), page=5)
    for key in ("x", "space", "ctrl-a", "0"):
        read = read_keys({command.name.lower(): key})
        assert isinstance(read, dict)
        keys = rebound(read)
        state = TopState()
        for _ in range(5):
            state = press(state, next(one for one, _ in _bound(keys, command)), shown, keys)
            assert state.focus is not Focus.TABLE or state.todo is None or not _asks(command)


def _bound(keys: object, command: Command) -> list[tuple[str, Command]]:
    return [(key, one) for one, found in keys.bindings for key in found if one is command]  # type: ignore[attr-defined]


def _asks(command: Command) -> bool:
    return command not in {Command.LOG, Command.SSH}


def test_every_command_has_a_name_in_the_settings_and_no_key_is_of_two() -> None:
    assert len(NAMES) == len(BINDINGS) == len(Command)
    assert read_keys({}) == {}
