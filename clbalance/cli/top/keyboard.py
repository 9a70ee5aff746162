"""The keys of prompt_toolkit, told to `top` one by one under the names that `policy/top/keys.py` knows."""

from collections.abc import Callable

from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from clbalance.policy.top.keys import NAMED_KEYS

_NAMED = (*NAMED_KEYS, "c-c", "c-z")
"""prompt_toolkit has meanings of its own for these, which ours come before."""
_NAMES = {"c-m": "enter", "c-i": "tab", "c-h": "backspace"}
"""As prompt_toolkit reports them."""


def key_bindings(pressed: Callable[[str], None], pasted: Callable[[str], None]) -> KeyBindings:
    """Every key goes to `pressed`; a pasted text is not keys."""
    bindings = KeyBindings()

    def press(event: KeyPressEvent) -> None:
        key = event.key_sequence[-1].key
        name = key.value if isinstance(key, Keys) else key
        pressed(_NAMES.get(name, name))

    def paste(event: KeyPressEvent) -> None:
        pasted(event.data)

    for name in _NAMED:
        bindings.add(name)(press)
    bindings.add(Keys.Any)(press)
    bindings.add(Keys.BracketedPaste)(paste)
    return bindings
