"""One node of `doctor` as JSON: what it told of itself. What is unknown is null, with its reason under `unknown`."""

from collections.abc import Mapping
from typing import TypeAlias, assert_never

from clbalance.checkup import Checkup, Examined, Folder, Logind, Mount, NodeFolders, Python
from clbalance.model import Silent, TmpSpace, Unknown
from clbalance.render.health import NodeHealth
from clbalance.render.json_value import Json, finite

_Fact: TypeAlias = bool | float | str | Unknown | None

FACT_KEYS = (
    "uid", "python", "python_version", "clock_offset_s", "kill_user_processes", "lingers",
    "max_sessions", "max_startups", "folders",
)  # fmt: skip
"""Every fact of a node, in the order shown."""


def health_document(node: NodeHealth) -> dict[str, Json]:
    """`node` with every key, whatever is known."""
    match node.examination:
        case Silent(node=name, cause=cause):
            told: str | None = str(cause)
            facts: Mapping[str, Json] = dict.fromkeys(FACT_KEYS)
            unknown: Mapping[str, Json] = {}
        case Examined(node=name, checkup=checkup, clock_offset_s=offset_s):
            told = None
            facts, unknown = _split({"clock_offset_s": offset_s, **_facts(checkup)})
            facts = {**facts, "folders": _folders(checkup.folders)}
        case _:
            assert_never(node.examination)
    return {
        "name": name,
        "state": node.state,
        "reason": node.reason,
        "cause": told,
        **{key: facts[key] for key in FACT_KEYS},
        "unknown": unknown,
    }


def _facts(checkup: Checkup) -> dict[str, _Fact]:
    return {
        "uid": checkup.uid,
        **_python(checkup.python),
        **_logind(checkup.logind),
        "max_sessions": checkup.sshd.max_sessions,
        "max_startups": checkup.sshd.max_startups,
    }


def _python(found: Python | Unknown | None) -> dict[str, _Fact]:
    match found:
        case Python(path=path, version=version):
            told = version if isinstance(version, Unknown) else ".".join(map(str, version))
            return {"python": path, "python_version": told}
        case None | Unknown():
            return {"python": found, "python_version": found}
        case _:
            assert_never(found)


def _logind(found: Logind | Unknown | None) -> dict[str, _Fact]:
    if isinstance(found, Logind):
        return {"kill_user_processes": found.kills_user_processes, "lingers": found.lingers}
    return {"kill_user_processes": found, "lingers": found}


def _folders(folders: NodeFolders) -> list[Json]:
    return [_folder(folder) for folder in (folders.named, folders.made, folders.usual) if isinstance(folder, Folder)]


def _folder(folder: Folder) -> dict[str, Json]:
    return {
        "path": folder.path,
        "uid": folder.entry.uid,
        "mode": f"{folder.entry.mode & 0o7777:04o}",
        "writable": folder.writable,
        "file_system": folder.mount.type if isinstance(folder.mount, Mount) else None,
        "free_bytes": folder.space.free_bytes if isinstance(folder.space, TmpSpace) else None,
    }


def _split(facts: Mapping[str, _Fact]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The values to show, null where unknown, and the reasons of those."""
    shown: dict[str, Json] = {}
    unknown: dict[str, Json] = {}
    for key, value in facts.items():
        if isinstance(value, Unknown):
            shown[key], unknown[key] = None, value.why
        else:
            shown[key] = finite(value) if isinstance(value, float) else value
    return shown, unknown
