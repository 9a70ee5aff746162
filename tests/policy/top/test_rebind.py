"""Keys of `top` that the settings change."""

import pytest

from clbalance.policy.top.keys import ACTIONS, BINDINGS, Command
from clbalance.policy.top.press import press
from clbalance.policy.top.rebind import NAMES, read_keys, rebound
from clbalance.policy.top.state import Shown, TopState


def test_an_action_can_have_other_keys_or_none() -> None:
    read = read_keys({"drain": "D", "page_down": ["PageDown", "ctrl-f", "space"], "tag": "t", "cancel": []})
    assert read == {"drain": ("D",), "page_down": ("pagedown", "ctrl-f", "space"), "tag": ("t",), "cancel": ()}
    keys = rebound(read)
    assert [keys.command(key) for key in ("D", "c-f", " ", "t", "c", "d")] == [
        Command.DRAIN, Command.PAGE_DOWN, Command.PAGE_DOWN, Command.TAG, None, None,
    ]  # fmt: skip
    assert "PgDn Ctrl-F Space" in [names for names, _ in keys.help()]
    assert "cancel jobs" not in [does for _, does in keys.help()]


def test_a_key_may_be_named_twice_for_one_action() -> None:
    read = read_keys({"tag": ["space", " ", "F5", "f5"]})
    assert isinstance(read, dict)
    assert rebound(read).command(" ") is Command.TAG


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"drian": "D"}, "did you mean `drain`?"),
        ({"drain": 1}, "drain is '1', which is no key"),
        ({"drain": ["D", "ctrl-z"]}, "drain is 'ctrl-z', which is no key"),
        ({"drain": "\x1b"}, r"drain is '\x1b', which is no key"),
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


@pytest.mark.parametrize("typed", ["x", "ctrl-a", "0"])
@pytest.mark.parametrize("command", sorted(ACTIONS.keys() - {Command.LOG, Command.SSH}, key=str))
def test_no_key_does_harm_however_often_it_is_pressed(command: Command, typed: str) -> None:
    read = read_keys({command.name.lower(): typed})
    assert isinstance(read, dict)
    keys, key = rebound(read), {"ctrl-a": "c-a"}.get(typed, typed)
    assert keys.command(key) is command
    state, shown = TopState(), Shown(keys=("a",), page=5)
    for _ in range(5):
        state = press(state, key, shown, keys)
        assert state.todo is None


def test_every_command_has_a_name_in_the_settings_and_no_key_is_of_two() -> None:
    assert len(NAMES) == len(BINDINGS) == len(Command)
    assert read_keys({}) == {}
