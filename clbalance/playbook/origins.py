"""Where each value of a playbook comes from: a line of the file, `-e`, or the default."""

from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec

from clbalance.lazy_dataclass import dataclass
from clbalance.playbook.document import Document
from clbalance.playbook.forms import Form, PlaybookForm
from clbalance.playbook.problems import Path, path_text
from clbalance.playbook.shape import form_in

_TOLD_ELSEWHERE = frozenset({"steps", "rollback", "vars", "name", "description"})


class Origin(StrEnum):
    """What has set a value."""

    PLAYBOOK = "playbook"
    EXTRA_VARS = "-e"
    COMMAND_LINE = "command line"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value as it was typed; empty: none. `line`: of the playbook, 0 if it does not stand there."""

    name: str
    text: str
    origin: Origin
    line: int = 0


def values_of(document: Document, typed: Mapping[str, str]) -> tuple[Value, ...]:
    """Those of the whole playbook, also where it says nothing; then its variables. `typed`: those of `-e`."""
    return (*_of_form(document, (), PlaybookForm), *_of_variables(document, typed))


def _of_form(document: Document, above: Path, form: type[Form]) -> Iterator[Value]:
    for field in msgspec.structs.fields(form):
        path = (*above, field.encode_name)
        if not above and field.encode_name in _TOLD_ELSEWHERE:
            continue
        inner = form_in(field.type)
        if path not in document.keys:
            yield Value(name=path_text(path), text=_default(field.default), origin=Origin.DEFAULT)
        elif inner is not None:
            yield from _of_form(document, path, inner)
        else:
            yield _typed_value(document, path)


def _of_variables(document: Document, typed: Mapping[str, str]) -> Iterator[Value]:
    variables = document.values.get("vars")
    for name in variables if isinstance(variables, dict) else ():
        if name in typed:
            yield Value(name=f"vars.{name}", text=typed[name], origin=Origin.EXTRA_VARS)
        else:
            yield _typed_value(document, ("vars", name))


def _typed_value(document: Document, path: Path) -> Value:
    texts = [text for at, text in document.raw.items() if at[: len(path)] == path]
    return Value(name=path_text(path), text=", ".join(texts), origin=Origin.PLAYBOOK, line=document.keys[path][0])


def _default(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return str(default) if isinstance(default, int | float | str) else ""
