"""Paths of `copy` and `fetch`, and of the output of `run`. Pure.

`{{ vars.NAME }}` stands for whole parts of a path, and never leads out of it.
"""

from collections.abc import Mapping

from clbalance.lazy_dataclass import dataclass
from clbalance.playbook.names import TEMPLATE, WHOLE_VARIABLE
from clbalance.playbook.problems import near


@dataclass(frozen=True, slots=True, kw_only=True)
class BadPath:
    """Why a path is not possible, and what to type instead."""

    message: str
    hint: str = ""


def filled_path(given: str, variables: Mapping[str, str]) -> str | BadPath:
    """The path with the values of its variables: `{{ vars.root }}/releases` is `/srv/app/releases`.

    Slashes at the ends of a value are left out where the playbook has one. At the end of a path a slash means the
    content of a folder, which only the playbook says.
    """
    if not given.strip():
        return BadPath(message="the path is empty")
    if not TEMPLATE.search(given):
        return given
    parts: list[str] = []
    for part in given.split("/"):
        filled = _filled_part(part, variables)
        if isinstance(filled, BadPath):
            return filled
        parts.append(filled.lstrip("/") if parts else filled)
    return "/".join(parts) or "/"


def _filled_part(part: str, variables: Mapping[str, str]) -> str | BadPath:
    if "{{" not in part and "}}" not in part:
        return part
    found = WHOLE_VARIABLE.fullmatch(part)
    if found is None:
        hint = "`{{ vars.NAME }}` stands for whole parts of a path, such as `{{ vars.root }}/releases`"
        return BadPath(message=f"`{part[:60]}` is not possible here", hint=hint)
    name = found[1]
    if name not in variables:
        return BadPath(message=f"the variable `{name}` is not set", hint=near(name, list(variables), "variables"))
    if fault := _fault(variables[name]):
        return BadPath(message=f"the variable `{name}` is no path here: {fault}", hint=f"`-e {name}=PATH`")
    return variables[name].rstrip("/")


def _fault(value: str) -> str:
    if not value.strip():
        return "it is empty"
    if any(one < " " or one == "\x7f" for one in value):
        return "it has a newline, or another control character"
    return "it has `..` as a part" if ".." in value.split("/") else ""
