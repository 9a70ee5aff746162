"""A place for connections that are kept: its own, so that a test ends with its connections."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from clbalance.transport.sharing.connections import standing, stop_sharing


@contextlib.contextmanager
def kept_in_a_folder() -> Iterator[Path]:
    """A private folder with a short name: that of a socket has little room. For `$XDG_RUNTIME_DIR`."""
    with tempfile.TemporaryDirectory(prefix="clb-", dir="/tmp") as folder:
        yield Path(folder)
        for path in standing(Path(folder, "clbalance-ssh")):
            stop_sharing(path)
