"""When a node has too much, and how much is done about it: as typed, else as the settings have it."""

from clbalance.policy.rebalance.values import Levels
from clbalance.settings.values import Settings


def levels_of(settings: Settings, *, max_moves: int | None = None, min_gain: float | None = None) -> Levels:
    """`SettingsError` for values that do not go together; `config check` asks for the same."""
    typed = {"max_moves": max_moves, "min_gain": min_gain}
    given = {**settings.rebalance, **{key: value for key, value in typed.items() if value is not None}}
    return Levels(**given)  # type: ignore[arg-type]  # settings/keys.py has checked each by its name
