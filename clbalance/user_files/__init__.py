"""Writes files at paths that a user typed (docs/design/files.md).

A regular file is replaced as a whole or appended to. A device, a FIFO with a reader and an open descriptor are written
to in place. Everything else is refused, with the reason. All checks are made on opened files, not on names.
"""

from clbalance.user_files.appending import AppendedFile, open_for_appending
from clbalance.user_files.checking import CheckedFile, CheckedFiles, check_writable
from clbalance.user_files.linking import replace_link
from clbalance.user_files.location import check_folder
from clbalance.user_files.refusal import FileFailedError, FileRefusedError
from clbalance.user_files.replacing import Draft, open_draft, replace_file

__all__ = [
    "AppendedFile",
    "CheckedFile",
    "CheckedFiles",
    "Draft",
    "FileFailedError",
    "FileRefusedError",
    "check_folder",
    "check_writable",
    "open_draft",
    "open_for_appending",
    "replace_file",
    "replace_link",
]
