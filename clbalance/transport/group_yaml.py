"""Reads a YAML file of groups, as ClusterShell does: `source: {group: nodes}`.

ClusterShell rejects a whole file for one error. Here only the wrong group or source is unusable. YAML nodes are not
converted to values (dates, big numbers, endless merges); their tags say what they are.
"""

import re
from collections.abc import Iterator

from yaml import MarkedYAMLError, SafeLoader, YAMLError
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from clbalance.transport.group_sources import Problem, UnusableGroups, YamlGroup, YamlGroups

_TAG = "tag:yaml.org,2002:"
_KINDS = {
    "int": "a number",
    "float": "a number",
    "bool": "a boolean",
    "timestamp": "a date",
    "null": "null",
    "seq": "a list",
    "map": "a table",
}
# Names that do not clash with ClusterShell's operators and its listing of groups.
_NAME = re.compile(r"[^\s@,!&^\[\]]+")
_SHOWN = 60
_Pairs = dict[tuple[str, str | int], tuple[Node, Node]]


def yaml_groups(path: str, text: str) -> list[YamlGroups | UnusableGroups] | Problem:
    """The sources in the `text` of `path`, or the problem of the whole file."""
    try:
        loader = SafeLoader(text)
        try:
            root = loader.get_single_node()
        finally:
            loader.dispose()
        return _Document(path).sources(root)
    except RecursionError:
        return Problem(message=f"{path}: nested too deeply", hint="groups are `source: {group: nodes}`")
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return Problem(message=f"{path}:{line}: {error.reason}", hint="remove what is no text from it")
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = path if mark is None else f"{path}:{mark.line + 1}"
        said = ", ".join(part for part in (error.context, error.problem) if part)
        return Problem(message=f"{place}: not YAML: {said}", hint="values with `:`, `#`, `[` or `@` need quotes")
    except YAMLError as error:
        return Problem(message=f"{path}: not YAML: {error}", hint="groups are `source: {group: nodes}`")
    except _WrongError as error:
        return error.problem


class _WrongError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Document:
    def __init__(self, path: str) -> None:
        self._path = path
        self._pairs_of: dict[int, _Pairs] = {}
        self._open: set[int] = set()

    def sources(self, root: Node | None) -> list[YamlGroups | UnusableGroups]:
        """The sources of the document; `_WrongError` if it is no table."""
        if root is None or not _is(root, "map"):
            what = "empty" if root is None else f"{_kind(root)}, not a table of group sources"
            raise _WrongError(Problem(message=f"{self._path}: is {what}", hint="begin with `source:`, groups below it"))
        return [self._source(key, value) for key, value in self._pairs(root).values()]

    def _source(self, key: Node, value: Node) -> YamlGroups | UnusableGroups:
        name = _text(key) or "<no name>"  # an empty name would mean the default source
        if not _is(key, "str") or not key.value:
            return UnusableGroups(name, self._not_a_name(key, "the name of a group source"))
        if not _is(value, "map"):
            message = f"{self._place(key)}: group source `{name}` is {_shown(value)}, not a table of groups"
            return UnusableGroups(
                name, Problem(message=message, hint=f'write its groups below it: `gpu: "{_EXAMPLE}"`')
            )
        try:
            pairs = self._pairs(value)
        except _WrongError as error:
            return UnusableGroups(name, error.problem)
        groups = [(_text(group), self._group(name, group, nodes)) for group, nodes in pairs.values()]
        nameless = tuple(group.problem for text, group in groups if group.problem and not _NAME.fullmatch(text))
        return YamlGroups(name, {text: group for text, group in groups if _NAME.fullmatch(text)}, nameless)

    def _group(self, source: str, key: Node, value: Node) -> YamlGroup:
        place = self._place(key)
        nodes = _node_sets(value)
        problem = None
        if not _is(key, "str") and not _is(key, "value"):
            problem = self._not_a_name(key, f"the name of a group of source `{source}`")
        elif not _NAME.fullmatch(_text(key)):
            message = f"{place}: {_text(key)!r} cannot be the name of a group"
            problem = Problem(message=message, hint="without blanks, brackets and `@ , ! & ^`")
        elif nodes is None:
            message = f"{place}: group `{_text(key)}` of source `{source}` is {_shown(value)}, not a node set"
            problem = Problem(message=message, hint=f'write nodes in quotes: `{_text(key)}: "{_EXAMPLE}"`')
        return YamlGroup(nodes=nodes or "", problem=problem, place=place)

    def _not_a_name(self, key: Node, what: str) -> Problem:
        hint = f'put it in quotes: `"{_text(key)}":`' if isinstance(key, ScalarNode) else "a name is a text"
        return Problem(message=f"{self._place(key)}: {what} is {_shown(key)}", hint=hint)

    def _pairs(self, node: MappingNode) -> _Pairs:
        """Keys and values of a table, with merges (`<<`). The last of equal keys counts, as in PyYAML.

        PyYAML's own code copies merged pairs again at each level: twenty lines can become a million pairs.
        """
        if id(node) in self._open:
            raise self._wrong_merge(node)
        if id(node) not in self._pairs_of:
            self._open.add(id(node))
            merged: _Pairs = {}
            own: _Pairs = {}
            for key, value in node.value:
                if _is(key, "merge"):
                    for one in self._merged(value):
                        merged |= self._pairs(one)
                else:
                    own[key.tag, key.value if isinstance(key, ScalarNode) else id(key)] = (key, value)
            self._open.discard(id(node))
            self._pairs_of[id(node)] = merged | own
        return self._pairs_of[id(node)]

    def _merged(self, value: Node) -> Iterator[MappingNode]:
        """The tables that a `<<` merges; later ones override."""
        for one in reversed(value.value) if isinstance(value, SequenceNode) else [value]:
            if not isinstance(one, MappingNode):
                raise self._wrong_merge(one)
            yield one

    def _wrong_merge(self, node: Node) -> _WrongError:
        message = f"{self._place(node)}: `<<` takes another table, or a list of such"
        return _WrongError(Problem(message=message, hint="like `<<: *other`"))

    def _place(self, node: Node) -> str:
        return f"{self._path}:{node.start_mark.line + 1}"


_EXAMPLE = "node[1-4]"


def _is(node: Node, tag: str) -> bool:
    return bool(node.tag == _TAG + tag) and isinstance(
        node, {"map": MappingNode, "seq": SequenceNode}.get(tag, ScalarNode)
    )


def _node_sets(value: Node) -> str | tuple[str, ...] | None:
    """The node sets of a group: one text or several, empty for null; None for anything else."""
    if _is(value, "str"):
        return str(value.value)
    if _is(value, "null"):
        return ""
    if _is(value, "seq") and all(_is(item, "str") for item in value.value):
        return tuple(str(item.value) for item in value.value)
    return None


def _kind(node: Node) -> str:
    return _KINDS.get(node.tag.removeprefix(_TAG), f"of the type `{node.tag.removeprefix(_TAG)[:_SHOWN]}`")


def _text(node: Node) -> str:
    return str(node.value) if isinstance(node, ScalarNode) else f"<{_kind(node)}>"


def _shown(node: Node) -> str:
    if isinstance(node, ScalarNode):
        if not node.value:
            return "null" if _is(node, "null") else "empty"
        return _kind(node) if _is(node, "null") else f"{_kind(node)} ({node.value[:_SHOWN]})"
    if _is(node, "seq"):
        wrong = next((item for item in node.value if not _is(item, "str")), None)
        return "a list" if wrong is None else f"a list with {_kind(wrong)} in it"
    return _kind(node)
