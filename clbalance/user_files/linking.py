"""Makes a symbolic link in a folder to which nobody else can write."""

import contextlib
import os
import stat

from clbalance.user_files.location import folder_at
from clbalance.user_files.ownership import others_write
from clbalance.user_files.refusal import FileRefusedError, failed


def replace_link(path: str, text: str) -> None:
    """Atomically make the absolute `path` a link to `text`; only a link is replaced. Raises `FileRefusedError`."""
    folder_path, _, name = path.rpartition("/")
    with folder_at(folder_path, path) as folder:
        if reason := others_write(os.fstat(folder)):
            raise FileRefusedError(
                path, reason, hint=f"`chmod go-w {folder_path}`, where it is yours; then repeat the command"
            )
        _check(path, name, folder)
        fresh = f".clbalance-{os.urandom(8).hex()}.tmp"
        try:
            os.symlink(text, fresh, dir_fd=folder)
            os.rename(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException as error:
            with contextlib.suppress(OSError):
                os.unlink(fresh, dir_fd=folder)
            if isinstance(error, OSError):
                raise failed(path, error) from error
            raise


def _check(path: str, name: str, folder: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise FileRefusedError(
                path, "it is there already, and is no link", hint="move it away, then repeat the command"
            )
