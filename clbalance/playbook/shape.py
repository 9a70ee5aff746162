"""From the values of a document to forms: all unknown keys and all values of a wrong kind, each with its place."""

import re
import types
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from clbalance.playbook.document import Document
from clbalance.playbook.forms import ACTIONS, Form, PlaybookForm, StepForm
from clbalance.playbook.problems import Path, Problem, near

_AT = re.compile(r"^(?P<message>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_PART = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "`true` or `false`",
    "array": "a list",
    "object": "a table of keys",
    "null": "nothing",
}

_FormType = TypeVar("_FormType", bound=Form)


def forms_of(
    document: Document, problems: list[Problem]
) -> tuple[PlaybookForm | None, list[StepForm | None], list[StepForm | None]]:
    """The forms of the whole, of its steps and of its rollback; None for one that has the wrong shape."""
    values = dict(document.values)
    steps = _list_of(document, values, "steps", problems)
    rollback = _list_of(document, values, "rollback", problems)
    whole = converted(document, (), PlaybookForm, {**values, "steps": [], "rollback": []}, problems)
    return whole, steps, rollback


def _list_of(document: Document, values: Mapping[str, Any], key: str, problems: list[Problem]) -> list[StepForm | None]:
    listed = values.get(key, [])
    if not isinstance(listed, list):
        problems.append(document.problem((key,), "must be a list of steps", "begin each step with `- `"))
        return []
    return [converted(document, (key, at), StepForm, one, problems) for at, one in enumerate(listed)]


def converted(
    document: Document, path: Path, form: type[_FormType], value: object, problems: list[Problem]
) -> _FormType | None:
    """`value` as this form; otherwise None, with what is wrong in `problems`."""
    unknown = list(_unknown_keys(document, path, form, value))
    problems.extend(unknown)
    if unknown:
        return None
    try:
        return msgspec.convert(value, form, strict=True)
    except msgspec.ValidationError as error:
        problems.append(_problem(document, path, form, str(error)))
        return None


def _problem(document: Document, above: Path, form: type[Form], said: str) -> Problem:
    found = _AT.match(said)
    assert found
    path = above
    for key, at in _PART.findall((found["path"] or "$").removeprefix("$")):
        path = (*path, key or (int(at) if at.isdecimal() else at))
    if path and path[-1] == "...":  # a value of a table with any keys: msgspec does not say which
        path = path[:-1]
    choices = _choices(form, path[len(above) :])
    return document.problem(path, _plain(found["message"]), f"one of: {' '.join(choices)}" if choices else "")


def _choices(form: type[Form] | None, path: Path) -> list[str]:
    """The words that may stand there; none where other values may."""
    for key in path[:-1]:
        form = _keys_of(form).get(str(key)) if form is not None else None
    if form is None or not path:
        return []
    kinds = [field.type for field in msgspec.structs.fields(form) if field.encode_name == path[-1]]
    literals = [one for kind in kinds for one in (kind, *get_args(kind)) if get_origin(one) is Literal]
    return [str(word) for one in literals for word in get_args(one)]


def _plain(message: str) -> str:
    """msgspec's message in the words of these pages."""
    if found := re.match(r"Expected `([^`]*)`, got `([^`]*)`", message):
        wanted = [_WORDS.get(word.strip(), word.strip()) for word in found[1].split("|")]
        return f"must be {' or '.join(dict.fromkeys(wanted))}, not {_WORDS.get(found[2], found[2])}"
    if found := re.match(r"Object missing required field `([^`]*)`", message):
        return f"`{found[1]}` is missing"
    if found := re.match(r"Expected `(?:int|float)` ([<>]=) ([\d.]+)", message):
        return f"must be {'at least' if found[1] == '>=' else 'at most'} {found[2]}"
    if found := re.match(r"Invalid enum value '?([^']*)'?", message):
        return f"cannot be `{found[1][:60]}`"
    return message[:1].lower() + message[1:]


def _unknown_keys(document: Document, path: Path, form: type[Form], value: object) -> Iterator[Problem]:
    """Keys that the form does not have, here and in the tables below."""
    if not isinstance(value, dict):
        return
    fields = _keys_of(form)
    for key, inner in value.items():
        if key not in fields:
            allowed = [*ACTIONS, *(one for one in fields if one not in ACTIONS)] if form is StepForm else list(fields)
            yield document.problem((*path, key), f"there is no key `{key[:60]}` here", near(key, allowed), at_key=True)
        elif below := fields[key]:
            yield from _unknown_keys(document, (*path, key), below, inner)


@cache
def _keys_of(form: type[Form]) -> Mapping[str, type[Form] | None]:
    """The keys of a form, each with the form that its value may be. msgspec works them out anew at each call."""
    return {field.encode_name: form_in(field.type) for field in msgspec.structs.fields(form)}


def form_in(kind: Any) -> type[Form] | None:
    """The form among the kinds of value that a field may have."""
    if isinstance(kind, type) and issubclass(kind, Form):
        return kind
    if get_origin(kind) in {Union, types.UnionType, Annotated}:
        return next((found for one in get_args(kind) if (found := form_in(one))), None)
    return None
