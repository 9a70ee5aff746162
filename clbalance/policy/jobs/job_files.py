"""Names of the files that travel with a job, and what is to be done with its results. Pure."""

import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from clbalance.model import NodeName
from clbalance.model.files import MOST_NAME_BYTES, unsafe_name
from clbalance.model.job_files import KEPT_S, ReturnRecord, ReturnState, SentPath
from clbalance.model.job_record import Cancelled, CopyRecord, JobRecord, NotStarted

MOST_PATTERNS = 100


def arrival(typed: str, folder: str) -> tuple[str, str]:
    """Where a sent file lies: the folder here that its name on the node is relative to, and that name.

    A name below `folder` stays as typed, any other file arrives under its last name. As with rsync, `/./` says where
    the name begins. `ValueError` with the reason if no name is left.
    """
    base, cut, rest = typed.rpartition("/./")
    if cut:
        base, name = posixpath.join(folder, base or "/"), posixpath.normpath(rest or ".")
    elif typed.startswith("/") or ".." in typed.split("/"):
        base, name = posixpath.split(posixpath.normpath(posixpath.join(folder, typed)))
    else:
        base, name = folder, posixpath.normpath(typed)
    reason = "it names no file below a folder" if name in ("", ".") else unsafe_name(name)
    if reason:
        raise ValueError(reason)
    return base, name


def clash(sent: Sequence[SentPath]) -> tuple[SentPath, SentPath] | None:
    """Two sent paths that would meet on the node; None: there are none.

    The first parts of their names are compared: a folder is not put together from two places.
    """
    seen: dict[str, SentPath] = {}
    for one in sent:
        top = one.name.partition("/")[0]
        before = seen.setdefault(top, one)
        if before.base != one.base or (before is not one and before.name == one.name):
            return before, one
    return None


def unusable_pattern(pattern: str) -> str | None:
    """Why this is no pattern of files in the work folder of a job; None: it is one."""
    parts = pattern.split("/")
    rules = (
        (not pattern, "it is empty"),
        ("\0" in pattern, "it has a NUL"),
        (pattern.startswith("/"), "it is absolute, and only files of the job's work folder are returned"),
        (".." in parts, "it leaves the job's work folder"),
        ("" in parts[:-1] or len(pattern) > MOST_NAME_BYTES, "it is no name of a file"),
    )
    return next((reason for is_broken, reason in rules if is_broken), None)


def changes(submitted: Sequence[SentPath], now: Sequence[SentPath]) -> tuple[str, ...]:
    """The names of sent files that are not as they were at the submission."""
    return tuple(before.name for before, after in zip(submitted, now, strict=True) if before != after)


def is_due(result: ReturnRecord, record: JobRecord, copies: Sequence[CopyRecord]) -> bool:
    """Whether results can be fetched now: the job is over, and the copy has an end."""
    copy = copy_of(result, copies)
    return record.state.is_over and not record.has_controller and copy is not None and copy.outcome is not None


def has_results(copy: CopyRecord) -> bool:
    """Whether a copy that has ended may have left results: not if it never started."""
    if copy.outcome is None or isinstance(copy.outcome.end, NotStarted):
        return False
    return not isinstance(copy.outcome.end, Cancelled) or copy.outcome.seconds > 0


def copy_of(result: ReturnRecord, copies: Sequence[CopyRecord]) -> CopyRecord | None:
    """The copy whose results these are."""
    wanted = (result.claim, result.rank)
    return next((copy for copy in copies if (copy.claim, copy.intent.rank) == wanted), None)


def is_kept(result: ReturnRecord, record: JobRecord, now: datetime) -> bool:
    """Whether the results are pending and still kept on their node: not for ever, or its disk would fill."""
    since = record.started_at or record.submitted_at
    return result.state is ReturnState.PENDING and now - since < timedelta(seconds=KEPT_S)


def outermost(matched: Sequence[str]) -> tuple[str, ...]:
    """The matched names, each once, without those inside a matched folder."""
    kept: list[str] = []
    for name in sorted(set(matched), key=lambda one: one.split("/")):
        if not (kept and name.startswith(f"{kept[-1]}/")):
            kept.append(name)
    return tuple(kept)


def by_node(records: Iterable[ReturnRecord]) -> tuple[ReturnRecord, ...]:
    """Copies on one node whose results are in one state for one reason, such as slots, as one record."""
    found: dict[tuple[NodeName, ReturnState, str], ReturnRecord] = {}
    for one in records:
        before = found.get(key := (one.node, one.state, one.reason))
        if before is not None:
            one = replace(one, files=before.files + one.files, size_bytes=before.size_bytes + one.size_bytes)  # noqa: PLW2901
        found[key] = one
    return tuple(found.values())
