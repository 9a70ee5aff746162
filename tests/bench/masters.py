"""Connections that are kept between calls: ours, and ssh's own that a peer uses. Both end with the question."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from clbalance.transport.sharing.connections import standing, stop_sharing

from .site import Place

KEPT = {"CLBALANCE_CONTROL_PERSIST": "120", "XDG_RUNTIME_DIR": "{folder}"}
SHARED = "-oControlMaster=auto -oControlPersist=120 -oControlPath={folder}/mux-%n"


@contextmanager
def ends_kept(place: Place) -> Iterator[None]:
    """Ends ours."""
    try:
        yield
    finally:
        for path in standing(place.folder / "clbalance-ssh"):
            stop_sharing(path)


@contextmanager
def ends_shared(place: Place) -> Iterator[None]:
    """Ends those of `SHARED`."""
    try:
        yield
    finally:
        for socket in place.folder.glob("mux-*"):
            subprocess.run(
                ["ssh", f"-oControlPath={socket}", "-O", "exit", socket.name.removeprefix("mux-")],
                env=place.environment(),
                stderr=subprocess.DEVNULL,
                check=False,
            )
