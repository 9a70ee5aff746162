"""Actions of `top` on rows: which views have them, what is asked before, and the verb that carries them out. Pure."""

from enum import Enum
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.view import View
from clbalance.units import counted

_MOST_NAMED = 200  # characters of names in a question


class Action(Enum):
    """What can be done to rows."""

    DRAIN = "drain"
    RESUME = "resume"
    CANCEL = "cancel"
    HOLD = "hold"
    LOG = "log"
    SSH = "ssh"
    EXPORT = "export"


VIEWS: Final = {
    Action.DRAIN: frozenset({View.NODES, View.GPUS}),
    Action.RESUME: frozenset({View.NODES, View.GPUS}),
    Action.CANCEL: frozenset({View.JOBS}),
    Action.HOLD: frozenset({View.JOBS}),
    Action.LOG: frozenset({View.JOBS}),
    Action.SSH: frozenset({View.NODES, View.GPUS}),
    Action.EXPORT: frozenset(View),
}
ALONE: Final = frozenset({Action.LOG, Action.SSH})
"""They are for one row, and change nothing: nothing is asked before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """An action that was confirmed: on which rows, and with which words."""

    action: Action
    keys: tuple[str, ...]
    names: tuple[str, ...] = ()
    """What they are called, as the question told: it is done to these, whatever the next round shows."""
    text: str = ""
    is_sure: bool = False
    """An export that, once confirmed, replaces the file that is there."""


def asks_for(deed: Deed) -> str:
    """The words that the question asks for; empty: yes or no."""
    return "" if deed.is_sure else {Action.DRAIN: "reason", Action.EXPORT: "file (.csv or .json)"}.get(deed.action, "")


def question(deed: Deed, folded: str) -> str:
    """What is about to be done, to how many and to which. `folded`: the names as one text."""
    if deed.action is Action.EXPORT and deed.is_sure:
        return f"{deed.text} is there already: replace it"
    if deed.action is Action.EXPORT:
        return f"export {counted(len(deed.keys), 'row')}"
    what = "job" if View.JOBS in VIEWS[deed.action] else "node"
    shown = folded if len(folded) <= _MOST_NAMED else f"{folded[:_MOST_NAMED]}.."
    return f"{deed.action.value} {counted(len(deed.names), what)}: {shown}"


def verb(deed: Deed) -> list[str]:
    """The words of the verb that does it, without options for ssh; empty: no verb does."""
    names = deed.names
    match deed.action:
        case Action.DRAIN:
            return ["drain", "--reason", deed.text, "-w", ",".join(names)]
        case Action.RESUME:
            return ["resume", "-w", ",".join(names)]
        case Action.CANCEL:
            return ["cancel", "--", *names]
        case Action.HOLD:
            return ["hold", "--", *names]
        case Action.LOG:
            return ["logs", "--follow", "--", *names[:1]]
        case Action.SSH | Action.EXPORT:
            return []
