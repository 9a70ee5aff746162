"""Reads a `topology.conf`: which nodes are asked through which gateways.

The format is ClusterShell's: in `[routes]` a line for each step, such as `admin: gw[1-4]` and `gw[1-4]: node[1-5000]`.
It is read here, and not by ClusterShell, whose parser lets any name pass, and says little about mistakes.
"""

from collections.abc import Iterator
from configparser import ConfigParser
from configparser import Error as ConfigError
from pathlib import Path

from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet
from ClusterShell.Topology import TopologyError, TopologyGraph, TopologyTree

from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.model import NodeName
from clbalance.nodeset import NodeSets
from clbalance.settings.trusted_file import read_trusted

_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Routes:
    """The tree that begins at this machine, as ClusterShell has it; and the nodes that are behind gateways."""

    tree: TopologyTree
    behind: frozenset[NodeName]


def read_routes(path: Path, sets: NodeSets, here: str) -> Routes:
    """The routes that begin at `here`. `SettingsError` if the file cannot be used."""
    try:
        text = read_trusted(path, _MAX_BYTES).decode()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", hint="`--topology none` asks all nodes directly") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8") from error
    graph = TopologyGraph()
    sources: list[str] = []
    for source, targets in _lines(path, text):
        sources.append(source)
        try:
            graph.add_route(_node_set(sets, source), _node_set(sets, targets))
        except NodeNameError as error:
            raise SettingsError(f"{path}: `{source}: {targets}`: {error.message}", hint=error.hint) from error
        except TopologyError as error:
            raise SettingsError(f"{path}: `{source}: {targets}`: {_said(error)}", hint=_HINT) from error
    try:
        tree = graph.to_tree(here)
    except TopologyError as error:
        first = sources[0] if sources else "admin"
        raise SettingsError(
            f"{path}: no route begins at this machine, `{here}`", hint=f"`{here}: …` in place of `{first}: …`"
        ) from error
    return Routes(tree, frozenset(_behind(tree)))


_HINT = "each node has one way from here, through one set of gateways: `admin: gw[1-2]`, then `gw[1-2]: node[1-99]`"


def _lines(path: Path, text: str) -> list[tuple[str, str]]:
    """What is behind `[routes]`, or `[Main]` as it was called once."""
    parser = ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as documented: names keep their case
    try:
        parser.read_string(text, source=str(path))
    except ConfigError as error:
        raise SettingsError(f"{path}: {' '.join(str(error).split())}", hint=_FORM) from error
    for section in ("routes", "Main"):
        if parser.has_section(section):
            return parser.items(section)
    raise SettingsError(f"{path}: there is no `[routes]` in it", hint=_FORM)


_FORM = "like `[routes]`, `admin: gw[1-2]`, `gw[1-2]: node[1-99]`; see `man topology.conf`"


def _node_set(sets: NodeSets, text: str) -> NodeSet:
    """Its names are checked: they get to the command line of ssh."""
    names = sets.expand(text)
    if not names:
        raise NodeNameError(f"`{text}` has no nodes")
    return NodeSet._fromlist1(list(names), resolver=RESOLVER_NOGROUP)  # noqa: SLF001 - its fast constructor


def _said(error: TopologyError) -> str:
    """ClusterShell's words, without the route, which is named already."""
    return str(error).partition("!")[0].lower()


def _behind(tree: TopologyTree) -> Iterator[NodeName]:
    """The nodes below the first gateways."""
    below = [child for gateways in tree.root.children() for child in gateways.children()]
    while below:
        group = below.pop()
        yield from map(NodeName, group.nodeset)
        below += group.children()
