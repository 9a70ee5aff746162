"""Files that are written for a user, under names that a user typed (docs/design/files.md).

A regular file is replaced whole or appended to. A device, a FIFO that somebody reads and an open descriptor are written
to in place. All else is refused with the reason. What is decided is decided on what was opened, not on a name.
"""

from clbalance.user_files.appending import AppendedFile, open_for_appending
from clbalance.user_files.checking import CheckedFile, check_writable
from clbalance.user_files.linking import replace_link
from clbalance.user_files.location import check_folder
from clbalance.user_files.refusal import FileFailedError, FileRefusedError
from clbalance.user_files.replacing import Draft, open_draft, replace_file

__all__ = [
    "AppendedFile",
    "CheckedFile",
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
