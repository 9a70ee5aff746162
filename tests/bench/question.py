"""A question that a user asks: our command, and those of the programs that answer the same. Values only.

Commands are written as they are typed. `{folder}` in them is the question's own folder, `{lab}` the lab's, `{nodes}`
the names of its nodes, one word each, and `{inventory}` the same as Ansible reads them; `{python}` is the Python in which
the peers from PyPI lie, and `{peers}` the folder of the programs that use them.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field

from clbalance.lab.spec import LabSpec

from .figure import Figure
from .site import Place, Site

Around = Callable[[Place], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program, as `programs.py` knows it, and what it is asked."""

    program: str
    command: str = ""
    _: KW_ONLY
    limit: float | None = None
    """How long ours may take, in times of this one."""
    rounds: int | None = None
    """Not asked more often, and without a first time that does not count: it is slow."""
    environment: Mapping[str, str] = field(default_factory=dict)
    around: Around | None = None
    """What must be there while it is asked."""
    seconds: float | None = None
    """A bound that was calculated: nothing is called."""


@dataclass(frozen=True, slots=True)
class Question:
    """Asked of ours and of all peers in turn, in rounds. The first round does not count."""

    name: str
    asks: str
    ours: str
    peers: tuple[Peer, ...]
    _: KW_ONLY
    lab: LabSpec | None = None
    rounds: int | None = None
    """Not more often than this."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """For all of them, beside what the lab needs."""
    around: Around | None = None
    """What must be there for all of them."""
    before: Callable[[Place], None] | None = None
    """Before each call, and not measured."""
    seconds: Callable[[bytes], float] | None = None
    """Reads from what ours printed how long it took, where that is not the time of the whole process."""
    amount: tuple[float, str] | None = None
    """What is done, to tell the rates as well: 2,000 tasks."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """Something that no other program is asked: the figures that it takes by itself."""

    name: str
    asks: str
    take: Callable[[Site], Iterator[Figure]]


Asked = Question | Measurement


def chosen(asked: tuple[Asked, ...], words: list[str]) -> tuple[Asked, ...]:
    """Those of these names, or all without one. `copy`, which is no name, stands for all that begin with `copy-`."""
    names = {one.name for one in asked}
    return tuple(one for one in asked if not words or any(_named(one, word, names) for word in words))


def unknown(asked: tuple[Asked, ...], words: list[str]) -> list[str]:
    """The words that name nothing."""
    return [word for word in words if not chosen(asked, [word])]


def _named(one: Asked, word: str, names: set[str]) -> bool:
    return one.name == word if word in names else one.name.startswith(f"{word}-")


def listed(asked: tuple[Asked, ...]) -> str:
    """A line for each: its name, what is asked, and against what, with the limit."""
    width = max(len(one.name) for one in asked)
    return "".join(f"{one.name:{width}}  {one.asks}{_against(one)}\n" for one in asked)


def _against(one: Asked) -> str:
    if isinstance(one, Measurement):
        return ""
    peers = (peer.program + ("" if peer.limit is None else f" (at most {peer.limit:g})") for peer in one.peers)
    return f", against {', '.join(peers)}"
