"""`KillUserProcesses`, over D-Bus (`b false`) or from logind.conf, and whether the user lingers."""

from clbalance.checkup import Logind
from clbalance.model import Unknown
from clbalance.probe.frame import Section

# systemd's words for a boolean (systemd.syntax(7)).
_YES = frozenset({"1", "yes", "y", "true", "t", "on"})
_NO = frozenset({"0", "no", "n", "false", "f", "off"})
_NONE = "3"


def parse_logind(told: Section | None, configured: Section | None) -> Logind | Unknown | None:
    """What happens at logout; None where there is no logind."""
    if told is None:
        return Unknown(why="not told")
    if told.status == _NONE:
        return None
    lines = told.text.split("\n")
    kills = _told(lines)
    if kills is None and configured is not None:
        kills = _configured(configured.text)
    unknown = Unknown(why="logind does not tell, and logind.conf does not say")
    return Logind(kills_user_processes=unknown if kills is None else kills, lingers="linger" in lines)


def _told(lines: list[str]) -> bool | None:
    for line in lines:
        match line.split():
            case ["b", "true"]:
                return True
            case ["b", "false"]:
                return False
            case _:
                pass
    return None


def _configured(text: str) -> bool | None:
    """The last value counts."""
    kills: bool | None = None
    for line in text.split("\n"):
        key, _, value = line.partition("=")
        word = value.strip().casefold()
        if key.strip() == "KillUserProcesses" and word in _YES | _NO:
            kills = word in _YES
    return kills
