"""Trees of files, made and compared."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

ODD_NAMES = (b"new\nline", b"\xff\xfe.bin", b"-rf", b"$(id)", b"a b'\"", "é".encode(), b"x" * 200)


def make_tree(folder: Path, files: Mapping[str | bytes, bytes]) -> Path:
    """The folder, with these files in it."""
    for name, content in files.items():
        place = os.path.join(os.fsencode(folder), os.fsencode(name))
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(content)
    return folder


def tree_at(folder: Path) -> dict[bytes, tuple[bytes | None, int, int]]:
    """Content, mode and time of each file; of a folder, no content and its mode."""
    found: dict[bytes, tuple[bytes | None, int, int]] = {}
    top = os.fsencode(folder)
    for where, folders, files in os.walk(top):
        for name in (*folders, *files):
            place = os.path.join(where, name)
            facts = os.lstat(place)
            is_file = stat.S_ISREG(facts.st_mode)
            content = Path(os.fsdecode(place)).read_bytes() if is_file else None
            mtime_ns = facts.st_mtime_ns if is_file else 0
            found[os.path.relpath(place, top)] = (content, stat.S_IMODE(facts.st_mode), mtime_ns)
    return found


def unfinished(folder: Path) -> list[Path]:
    """Temporary files that were left."""
    return list(folder.rglob(".clbalance-*"))
