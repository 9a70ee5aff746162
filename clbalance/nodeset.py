"""Node sets: from typed expressions to checked, expanded node names, and back to folded text.

Input: node set expressions in ClusterShell's syntax. Output: tuples of `NodeName`. A node named `-oProxyCommand=…` or
a group name with `;` in it would run local commands (docs/design/nodes.md), so every text passes the allow-lists of
this module before ClusterShell's `NodeSet` gets it. `NodeSet` is used here and in `listed_groups.py` only: its
`remove()` and `len()` take seconds on names that do not fold.
"""

import re
from collections.abc import Iterable, Sequence
from configparser import Error as ConfigError

from clbalance.errors import ClbalanceError, NodeNameError, SettingsError

try:  # ClusterShell reads its `defaults.conf` when it is imported
    from ClusterShell.NodeSet import RESOLVER_NOGROUP, NodeSet, NodeSetException, ParsingEngine
    from ClusterShell.NodeUtils import GroupResolverError, GroupSourceError, GroupSourceNoUpcall
except (ConfigError, ValueError, OSError) as unreadable:
    raise SettingsError(
        f"ClusterShell's defaults.conf cannot be read: {' '.join(str(unreadable).split())}",
        hint="`clush` cannot read it either; mend it, or set `CLUSTERSHELL_CFGDIR` to another folder",
    ) from unreadable

from clbalance.lazy_dataclass import dataclass
from clbalance.listed_groups import GroupNames, ListedGroups
from clbalance.model import NodeName
from clbalance.node_set_text import MAX_NODES, foreign_characters, most_names

# RFC 1123 labels and dots, plus the underscore that real clusters use; never a leading dash.
_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,252}")
_IPV6 = re.compile(r"[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,31}[$]?")
# `user@host` as in ssh. A group's `@` follows an operator or begins the text.
_LOGIN = re.compile(r"([A-Za-z0-9_.-]+)@([A-Za-z0-9_.-]+)")
_PLAIN_LIST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(,[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
_NUMBER = re.compile(r"\d+")
_MAX_EXPRESSION = 1_000_000  # characters: 50,000 unfoldable names of 20


def check_node_name(name: str) -> NodeName:
    """`name` as a node name, or `NodeNameError`."""
    if _NODE.fullmatch(name) or _IPV6.fullmatch(name):
        return NodeName(name)
    raise NodeNameError(
        f"{name[:253]!r} is not a node name",
        hint="letters, digits, `.`, `_` and `-`, not beginning with `-` or `.`",
    )


def check_user_name(name: str) -> str:
    """`name` as a login name, or `NodeNameError`."""
    if _USER.fullmatch(name):
        return name
    raise NodeNameError(
        f"{name!r} is not a user name", hint="letters, digits, `.`, `_` and `-`, not beginning with `-`"
    )


def fold(names: Iterable[NodeName]) -> str:
    """`names` as one folded node set: `gpu[1-4,7]`; the empty string for none."""
    alike = _alike(names)
    return ",".join([same[0] if len(same) == 1 else str(_node_set(same)) for same in alike])


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Lists of names that differ only in their numbers, in node set order.

    Only such names fold, and a `NodeSet` takes 20 µs for each name that does not.
    """
    shapes: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        shapes.setdefault(_NUMBER.sub("%s", name), []).append(name)
    return [shapes[shape] for shape in sorted(shapes)]


def _node_set(names: Iterable[str]) -> NodeSet:
    return NodeSet._fromlist1(list(names), resolver=RESOLVER_NOGROUP)  # noqa: SLF001 - its fast constructor


@dataclass(frozen=True, slots=True)
class NodeSets:
    """Expands node set expressions; groups are looked up in `resolver` (None: no groups are configured)."""

    resolver: GroupNames | None

    def expand(self, text: str) -> tuple[NodeName, ...]:
        """The nodes of `text`, such as `@gpu&@rack1` or `node[1-9]!node4`, without repeats, in node set order.

        `NodeNameError` if it is malformed, names an unknown group or more than 200,000 nodes.
        """
        text = text.strip()
        if _PLAIN_LIST.fullmatch(text) and len(text) <= _MAX_EXPRESSION:
            alike = _alike(text.split(","))
            return tuple(
                [check_node_name(name) for same in alike for name in (same if len(same) == 1 else _node_set(same))]
            )
        try:
            self._check_expression(text)
            found = NodeSet(text, resolver=self._listed())
        except (NodeSetException, GroupResolverError, GroupSourceError, ValueError) as error:
            # ValueError: its range parser fails on `n[1---2]`.
            raise NodeNameError(f"`{text}` is not a node set: {error}", hint="see `man nodeset`") from error
        return self._expanded(found, text)

    def group_names(self) -> tuple[str, ...]:
        """The groups of the default source; empty if there is none, or if it cannot list them."""
        if self.resolver is None:
            return ()
        try:
            return tuple(self.resolver.grouplist())
        except (ClbalanceError, GroupResolverError, GroupSourceError):
            return ()

    def group(self, text: str) -> tuple[NodeName, ...]:
        """The nodes of group `text`: a name, `source:name`, or a set of names such as `rack[1-3]`."""
        names = _split_names(text.strip())
        if marked := [name for name in names if name.startswith("@")]:
            raise NodeNameError(
                f"`{marked[0]}` is not a group's name", hint=f"without the `@`, which is for `-w`: `{marked[0][1:]}`"
            )
        return self.expand(",".join(f"@{name}" for name in names))

    def all(self) -> tuple[NodeName, ...]:
        """Every node of the default group source."""
        return self.everything().nodes

    def everything(self) -> "AllNodes":
        """The same; if the source cannot name all nodes, the nodes of all its usable groups."""
        if self.resolver is None:
            raise self._no_groups("`-a`")
        try:
            try:
                names = self.resolver.all_nodes(None)
            except GroupSourceNoUpcall:
                return self._of_all_groups(self.resolver)
            found = NodeSet.fromlist(names, resolver=self.resolver)
        except (NodeSetException, GroupResolverError, GroupSourceError, ValueError) as error:
            raise NodeNameError(
                f"the default group source cannot name all nodes: {error}",
                hint="give it an `all` upcall in groups.conf, or name a group with `-g`",
            ) from error
        return AllNodes(nodes=self._expanded(found, "@*"))

    def checked(self, sets: Sequence[str], what: str) -> NodeSet:
        """The union of a group's node `sets`, with all names checked; `what` names the group in the `NodeNameError`."""
        try:
            found = NodeSet.fromlist(sets, resolver=self.resolver or RESOLVER_NOGROUP)
        except (NodeSetException, GroupResolverError, GroupSourceError, ValueError) as error:
            raise NodeNameError(f"`{what}` is not a node set: {error}", hint="see `man nodeset`") from error
        self._expanded(found, what)
        return found

    def _of_all_groups(self, resolver: GroupNames) -> "AllNodes":
        """Nodes of all groups. Unusable groups are left out and named: one mistake must not block a whole cluster."""
        engine = ParsingEngine(resolver)
        try:
            names = engine.grouplist(None)
        except GroupSourceNoUpcall as error:
            raise NodeSetException("it has neither `all` nor `list`") from error
        found = NodeSet(resolver=RESOLVER_NOGROUP)
        left_out: list[ClbalanceError] = []
        for name in names:
            try:
                found.update(self.checked(resolver.group_nodes(name, None), f"@{name}"))
            except (GroupResolverError, GroupSourceError) as error:
                left_out.append(NodeNameError(f"group `{name}` cannot be used: {error}"))
            except (NodeNameError, SettingsError) as error:
                left_out.append(error)
        if left_out and not found:
            raise left_out[0]
        return AllNodes(nodes=self._expanded(found, "@*"), left_out=tuple(error.message for error in left_out))

    def _listed(self) -> "ListedGroups | int":
        return RESOLVER_NOGROUP if self.resolver is None else ListedGroups(self.resolver)

    def _check_expression(self, text: str) -> None:
        too_long = f"more than {_MAX_EXPRESSION} characters" if len(text) > _MAX_EXPRESSION else ""
        if shown := foreign_characters(text) or too_long:
            raise NodeNameError(
                f"{text[:80]!r} is not a node set: {shown} not allowed",
                hint="like `node[1-4,7]`, `@gpu`, `@gpu&@rack1` or `node[1-9]!node4`",
            )
        if most_names(text) > MAX_NODES:
            # ClusterShell would expand all ranges before they could be counted.
            raise NodeNameError(f"`{text[:80]}` names more than {MAX_NODES} nodes")
        if "@" not in text:
            return
        if login := _LOGIN.search(text):
            raise NodeNameError(
                f"`{text[:80]}` is not a node set: it has a user's name",
                hint=f"`-l {login[1]}` says who logs in, `-w {login[2]}` where",
            )
        if self.resolver is None:
            raise self._no_groups(f"`{text}`")

    @staticmethod
    def _no_groups(asked: str) -> NodeNameError:
        return NodeNameError(
            f"{asked} needs groups, and none are configured",
            hint="copy groups.conf.example to ~/.config/clustershell/, or use `--groups-conf FILE`",
        )

    @staticmethod
    def _expanded(found: NodeSet, text: str) -> tuple[NodeName, ...]:
        names = []
        for count, name in enumerate(found, start=1):
            if count > MAX_NODES:
                raise NodeNameError(f"`{text[:80]}` names more than {MAX_NODES} nodes")
            names.append(check_node_name(name))
        return tuple(names)


def _split_names(text: str) -> list[str]:
    """Split `a,b[1,2]` at its outer commas."""
    return [part for part in re.split(r",(?![^\[]*\])", text) if part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The candidates: the union of `-w`, `-g` and `-a`, without `-x` and `-X`."""

    nodes: Sequence[str] = ()
    groups: Sequence[str] = ()
    everything: bool = False
    exclude: Sequence[str] = ()
    exclude_groups: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AllNodes:
    """Every node, and for each unusable group a message; such groups may have more nodes."""

    nodes: tuple[NodeName, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Nodes to choose from, the excluded ones among the named, and messages about groups left out of `-a`."""

    nodes: tuple[NodeName, ...]
    excluded: tuple[NodeName, ...]
    left_out: tuple[str, ...] = ()


def candidates(selection: Selection, sets: NodeSets) -> Candidates:
    """The nodes of `selection`; `NodeNameError` if none is left."""
    # As in clush, `-w` arguments are joined: `-w node[1-9] -w '!node4'` is one expression.
    joined = ",".join(selection.nodes).replace(",!", "!").replace(",&", "&").replace(",^", "^")
    named = sets.expand(joined) if joined else ()
    for group in selection.groups:
        named += sets.group(group)
    everything = sets.everything() if selection.everything else AllNodes(nodes=())
    named += everything.nodes
    out: set[NodeName] = set()
    for text in selection.exclude:
        out.update(sets.expand(text))
    for group in selection.exclude_groups:
        out.update(sets.group(group))
    each_once = tuple(dict.fromkeys(named))
    left = tuple(name for name in each_once if name not in out)
    if not left:
        raise NodeNameError(
            "the node set is empty" + (f": all {len(each_once)} named are excluded" if each_once else ""),
            hint="look at it with `nodeset -f` and the same arguments",
        )
    return Candidates(
        nodes=left, excluded=tuple(name for name in each_once if name in out), left_out=everything.left_out
    )
