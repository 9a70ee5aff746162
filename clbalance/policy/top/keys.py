"""The keys of `top`, by the names that prompt_toolkit gives them: what each one does, in the order of the help."""

from enum import Enum
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.actions import Action


class Command(Enum):
    """What a key asks for while the table has the focus. The value is its line of the help."""

    NODES = "nodes"
    GPUS = "GPUs"
    JOBS = "jobs of all users"
    USERS = "users"
    GROUPS = "groups"
    NEXT_VIEW = "next view"
    UP = "row above"
    DOWN = "row below"
    PAGE_UP = "screen above"
    PAGE_DOWN = "screen below"
    FIRST = "first row"
    LAST = "last row"
    SORT_LEFT = "sort by the column to the left"
    SORT_RIGHT = "sort by the column to the right"
    REVERSE = "reverse the order"
    FILTER = "filter: a text, or an expression such as mem > 20G"
    NEXT_MATCH = "next row that the last filter selects, also when it is cleared"
    PREVIOUS_MATCH = "the one before"
    GROUPING = "fold nodes by groups, by the next label, and not at all"
    TAG = "tag a row, or untag it"
    UNTAG = "untag all"
    DETAILS = "details of a row; the nodes of a group"
    BACK = "back: close, clear the filter, untag"
    DRAIN = "drain nodes, with a reason"
    RESUME = "resume nodes"
    CANCEL = "cancel jobs"
    HOLD = "hold pending jobs"
    LOG = "log of a job, followed; Ctrl-C comes back"
    SSH = "a shell on a node"
    EXPORT = "export rows as CSV or JSON"
    HELP = "this help"
    QUIT = "quit"


BINDINGS: Final[tuple[tuple[Command, tuple[str, ...]], ...]] = (
    (Command.NODES, ("1",)),
    (Command.GPUS, ("2",)),
    (Command.JOBS, ("3",)),
    (Command.USERS, ("4",)),
    (Command.GROUPS, ("5",)),
    (Command.NEXT_VIEW, ("tab",)),
    (Command.UP, ("up", "k")),
    (Command.DOWN, ("down", "j")),
    (Command.PAGE_UP, ("pageup",)),
    (Command.PAGE_DOWN, ("pagedown",)),
    (Command.FIRST, ("home",)),
    (Command.LAST, ("end", "G")),
    (Command.SORT_LEFT, (",",)),
    (Command.SORT_RIGHT, (".",)),
    (Command.REVERSE, ("S",)),
    (Command.FILTER, ("/",)),
    (Command.NEXT_MATCH, ("n",)),
    (Command.PREVIOUS_MATCH, ("N",)),
    (Command.GROUPING, ("g",)),
    (Command.TAG, (" ",)),
    (Command.UNTAG, ("U",)),
    (Command.DETAILS, ("enter",)),
    (Command.BACK, ("escape",)),
    (Command.DRAIN, ("d",)),
    (Command.RESUME, ("r",)),
    (Command.CANCEL, ("c",)),
    (Command.HOLD, ("h",)),
    (Command.LOG, ("l",)),
    (Command.SSH, ("s",)),
    (Command.EXPORT, ("e",)),
    (Command.HELP, ("?", "f1")),
    (Command.QUIT, ("q",)),
)

_SHOWN: Final = {
    " ": "Space", "enter": "Enter", "escape": "Esc", "tab": "Tab", "up": "Up", "down": "Down", "left": "Left",
    "right": "Right", "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", "insert": "Ins",
    "delete": "Del", "backspace": "Backspace",
    **{f"f{number}": f"F{number}" for number in range(1, 13)},
    **{f"c-{letter}": f"Ctrl-{letter.upper()}" for letter in "abdefgklnopqrstuvwxy"},
}  # fmt: skip
"""Keys with a name, as they are shown. Ctrl-C always ends `top`, Ctrl-Z is ignored, and terminals send Ctrl-H, I, J
and M for other keys."""
NAMED_KEYS: Final = tuple(key for key in _SHOWN if len(key) > 1)


def is_key(key: str) -> bool:
    """Whether a command can have it."""
    return key in _SHOWN or (len(key) == 1 and key.isprintable())


def shown_key(key: str) -> str:
    """Its name for people."""
    return _SHOWN.get(key, key)


@dataclass(frozen=True, slots=True)
class Keys:
    """Which command each key has."""

    bindings: tuple[tuple[Command, tuple[str, ...]], ...] = BINDINGS

    def command(self, key: str) -> Command | None:
        """The command of a key; None: it has none."""
        return next((command for command, keys in self.bindings if key in keys), None)

    def help(self) -> tuple[tuple[str, str], ...]:
        """The keys of each command as they are shown, and what it does."""
        return tuple((" ".join(map(shown_key, keys)), one.value) for one, keys in self.bindings if keys)

    def shown(self, command: Command) -> str:
        """The first key of a command; empty: it has none."""
        return next((shown_key(key) for one, keys in self.bindings if one is command for key in keys[:1]), "")

    def read_only(self) -> "Keys":
        """Without those of actions."""
        return Keys(tuple(one for one in self.bindings if one[0] not in ACTIONS))


ACTIONS: Final = {
    Command.DRAIN: Action.DRAIN,
    Command.RESUME: Action.RESUME,
    Command.CANCEL: Action.CANCEL,
    Command.HOLD: Action.HOLD,
    Command.LOG: Action.LOG,
    Command.SSH: Action.SSH,
    Command.EXPORT: Action.EXPORT,
}
"""Actions are for the tagged rows; without any, for the selected one."""
KEYS: Final = Keys()
TO_MATCHES: Final = frozenset({Command.NEXT_MATCH, Command.PREVIOUS_MATCH})
"""They need to know which rows the last filter selects."""
