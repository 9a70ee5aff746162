"""From bytes to plain values with their places, by PyYAML's node tree; what YAML allows and a playbook does not.

Refused: duplicate keys (YAML's last one would win), aliases (a few lines can stand for a billion values), tags, more
than one document, deep nesting. A plain word is a number, `true`, `false` or `null` only if it looks like one in JSON:
`on`, `012` and `1:30` are text.
"""

import re
from typing import Any, TypeAlias, cast

import yaml

from clbalance.lazy_dataclass import dataclass
from clbalance.playbook.problems import Path, Problem, playbook_error

MOST_BYTES = 1 << 20
_DEEPEST = 20

Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PREFIX = "tag:yaml.org,2002:"
_INT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")


class _Loader(_BASE):  # type: ignore[misc]  # PyYAML's C loader has no types
    """Knows the words of JSON alone."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


for _tag, _pattern, _first in (
    ("int", _INT, "-0123456789"),
    ("float", _FLOAT, "-0123456789"),
    ("bool", re.compile("true|false"), "tf"),
    ("null", re.compile("null|~|"), ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(_PREFIX + _tag, re.compile(f"(?:{_pattern.pattern})$"), list(_first))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The values of a file, and where each of them stands: line and column from 1, by path. `raw`: text of scalars."""

    file: str
    values: dict[str, Value]
    places: dict[Path, tuple[int, int]]
    keys: dict[Path, tuple[int, int]]
    raw: dict[Path, str]

    def problem(self, path: Path, message: str, hint: str = "", *, at_key: bool = False) -> Problem:
        """A problem at this path; at the innermost part of it that is in the file."""
        places = self.keys if at_key else self.places
        found = path
        while found and found not in places:
            found = found[:-1]
        line, column = places.get(found) or self.places.get((), (1, 1))
        return Problem(message=message, hint=hint, path=path, line=line, column=column)


def read_document(data: bytes, file: str) -> Document:
    """The document in `data`. `PlaybookError` if it is no such YAML."""
    text = _decoded(data, file)
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise playbook_error(file, [_yaml_problem(error)]) from error
    except RecursionError as error:
        raise playbook_error(file, [Problem(message="it is nested too deeply")]) from error
    if root is None:
        raise playbook_error(file, [Problem(message="it is empty", hint=_SHORTEST)])
    reader = _Reader()
    values = reader.value(root, (), 0)
    if not isinstance(values, dict):
        kind = "a list" if isinstance(values, list) else "one value"
        message, hint = f"it is {kind}; a playbook is a table of keys", _SHORTEST
        reader.problems.append(Problem(message=message, hint=hint, line=1, column=1))
    if reader.problems or not isinstance(values, dict):
        raise playbook_error(file, reader.problems)
    return Document(file=file, values=values, places=reader.places, keys=reader.keys, raw=reader.raw)


_SHORTEST = "the shortest playbook is `steps: [{run: uptime}]`"


def _decoded(data: bytes, file: str) -> str:
    if len(data) > MOST_BYTES:
        problem = Problem(message=f"it has {len(data):,} bytes; a playbook has at most {MOST_BYTES:,}")
        raise playbook_error(file, [problem])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        message = f"byte {data[error.start]:#04x} is not UTF-8"
        raise playbook_error(
            file, [Problem(message=message, hint="save it as UTF-8", line=line, column=column)]
        ) from None
    if odd := re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text):
        line, column = text.count("\n", 0, odd.start()) + 1, odd.start() - text.rfind("\n", 0, odd.start())
        message = f"the character {odd[0]!a} is not allowed in YAML"
        raise playbook_error(file, [Problem(message=message, line=line, column=column)])
    return text


def _yaml_problem(error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    said = getattr(error, "problem", None) or str(error).partition("\n")[0]
    hint = ""
    if "found character that cannot start any token" in said:
        hint = "indent with blanks, not with tabs; put text that begins with `%`, `@` or a backtick in quotes"
    elif "mapping values are not allowed" in said:
        hint = "put text with a colon and a blank in quotes, or after `|` on lines of its own"
    elif "found another document" in said:
        said = "a second document begins here; a file holds one playbook"
    if mark is None:
        return Problem(message=f"it is not YAML: {said}", hint=hint, line=1, column=1)
    return Problem(message=f"it is not YAML: {said}", hint=hint, line=mark.line + 1, column=mark.column + 1)


class _Reader:
    """Walks the node tree once: plain values, their places, and all that is refused."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.places: dict[Path, tuple[int, int]] = {}
        self.keys: dict[Path, tuple[int, int]] = {}
        self.raw: dict[Path, str] = {}
        self._seen: set[int] = set()

    def value(self, node: yaml.Node, path: Path, depth: int) -> Value:
        self.places[path] = place = (node.start_mark.line + 1, node.start_mark.column + 1)
        if id(node) in self._seen:
            self._refuse("an alias (`*name`) repeats this value; write it twice instead", path, place)
            return None
        self._seen.add(id(node))
        if depth > _DEEPEST:
            self._refuse(f"it is nested more than {_DEEPEST} deep", path, place)
            return None
        match node:
            case yaml.MappingNode() if node.tag == _PREFIX + "map":
                return self._table(node, path, depth)
            case yaml.SequenceNode() if node.tag == _PREFIX + "seq":
                return [self.value(one, (*path, at), depth + 1) for at, one in enumerate(node.value)]
            case yaml.ScalarNode() if (read := _scalar(node)) is not _REFUSED:
                self.raw[path] = node.value
                return cast("Value", read)
        self._refuse(f"the tag `{node.tag.replace(_PREFIX, '!!')}` is not allowed", path, place)
        return None

    def _table(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Value]:
        table: dict[str, Value] = {}
        for key, value in node.value:
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                self._refuse("a key must be a word", path, place)
                continue
            name = key.value
            below = (*path, name)
            if name in table:
                first = self.keys[below][0]
                self._refuse(f"`{name}` stands here for the second time; the first is on line {first}", below, place)
                continue
            self.keys[below] = place
            table[name] = self.value(value, below, depth + 1)
        return table

    def _refuse(self, message: str, path: Path, place: tuple[int, int]) -> None:
        self.problems.append(Problem(message=message, path=path, line=place[0], column=place[1]))


_REFUSED = object()


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    match node.tag.removeprefix(_PREFIX):
        case "str":
            return text
        case "int" if _INT.fullmatch(text):
            return int(text)
        case "float" if _FLOAT.fullmatch(text):
            return float(text)
        case "bool" if text in {"true", "false"}:
            return text == "true"
        case "null" if text in {"null", "~", ""}:
            return None
        case _:
            return _REFUSED
