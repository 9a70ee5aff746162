"""Whether a name is left for our own folder in the node folder: anyone can squat on one. Pure.

The agent tries `clbalance-<uid>`, then `clbalance-<uid>-1` and so on to 9 (`node/agent/folder.py`).
"""

from collections.abc import Iterator
from stat import S_IMODE, S_ISDIR, S_ISLNK

from clbalance.checkup import Entry, Finding, Folder, note, wrong

NAMES = 10
_RIGHTS = 0o755


def home_findings(check: str, folder: Folder, uid: int) -> Iterator[Finding]:
    """Names that cannot be used; that is only worth a note while there is another."""
    own = f"{folder.path}/clbalance-{uid}"
    names = [own, *(f"{own}-{number}" for number in range(1, NAMES))]
    there = {home.path: home for home in folder.homes}
    for name in names:
        home = there.get(name)
        if home is None or _is_fit(home, uid):
            return
        yield note(check, f"{name} cannot be your folder: {_why(home, uid)}; the next name is taken", _hint(home, uid))
    hint = f"`ssh {{node}} ls -ld '{own}*'` shows whose they are; root can move them away"
    yield wrong(check, f"{own} and the {NAMES - 1} names after it are all taken", hint)


def _is_fit(home: Entry, uid: int) -> bool:
    return S_ISDIR(home.mode) and home.uid == uid and not S_IMODE(home.mode) & ~_RIGHTS


def _why(home: Entry, uid: int) -> str:
    if S_ISLNK(home.mode):
        return "it is a link"
    if not S_ISDIR(home.mode):
        return "it is no folder"
    if home.uid != uid:
        return f"it belongs to uid {home.uid}"
    return f"others may write to it (mode {S_IMODE(home.mode):04o})"


def _hint(home: Entry, uid: int) -> str:
    if home.uid != uid:
        return f"ask uid {home.uid}, or as root there: `mv {home.path} {home.path}.squatted`"
    if S_ISDIR(home.mode):
        return f"`ssh {{node}} chmod 755 {home.path}`"
    return f"`ssh {{node}} rm {home.path}`"
