"""Which processes of this host have jobs in hand: each holds a lock that the kernel takes away with its life."""

import contextlib
import fcntl
import os
import secrets
from pathlib import Path


class Controllers:
    """One file per process in `controllers/` of the state folder, flocked. A forked child needs one of its own."""

    def __init__(self, state: Path) -> None:
        self._folder = state / "controllers"
        self._nonce = ""
        self._fd = -1

    def mine(self) -> str:
        """This process's name, locked from now on."""
        if not self._nonce:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._tidy()
            nonce = secrets.token_hex(16)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            self._fd = os.open(self._folder / nonce, flags, 0o600)
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            self._nonce = nonce
        return self._nonce

    def known(self) -> str:
        """This process's name, empty where it has had nothing in hand so far."""
        return self._nonce

    def is_mine(self, nonce: str | None) -> bool:
        """Whether it is this process's name."""
        return bool(nonce) and nonce == self._nonce

    def is_alive(self, nonce: str | None) -> bool:
        """Whether the process of that name lives."""
        if not nonce:
            return False
        return nonce == self._nonce or not self._is_free(self._folder / nonce)

    def close(self) -> None:
        """Have nothing in hand any more."""
        if self._nonce:
            with contextlib.suppress(OSError):
                (self._folder / self._nonce).unlink()
            os.close(self._fd)
            self._nonce = ""

    def _tidy(self) -> None:
        """Remove what dead processes have left. A file is made and locked in two steps, so the young ones stay."""
        for file in self._folder.iterdir():
            with contextlib.suppress(OSError):
                if file.stat().st_mtime < self._folder.stat().st_mtime - 60 and self._is_free(file):
                    file.unlink()

    @staticmethod
    def _is_free(file: Path) -> bool:
        try:
            fd = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # unknown is never free
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(fd)
        return True
