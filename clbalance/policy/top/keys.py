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

_NAMES: Final = {
    " ": "Space", "enter": "Enter", "escape": "Esc", "tab": "Tab", "up": "Up", "down": "Down",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End", "f1": "F1",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keys:
    """Which command each key has."""

    bindings: tuple[tuple[Command, tuple[str, ...]], ...] = BINDINGS

    def command(self, key: str) -> Command | None:
        """The command of a key; None: it has none."""
        return next((command for command, keys in self.bindings if key in keys), None)

    def help(self) -> tuple[tuple[str, str], ...]:
        """The keys of each command as they are shown, and what it does."""
        return tuple((" ".join(_NAMES.get(key, key) for key in keys), one.value) for one, keys in self.bindings)


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
READ_ONLY: Final = Keys(tuple(one for one in BINDINGS if one[0] not in ACTIONS))
"""With `--readonly` there are no actions."""
