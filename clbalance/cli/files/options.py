"""Options that `copy` and `fetch` share."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How files are compared and transferred."""

    diff: Annotated[bool, Option("--diff", help="Only list what differs.")] = False
    dry_run: Annotated[bool, Option("--dry-run", help="Only count what would be done.")] = False
    checksum: Annotated[bool, Option("--checksum", help="Compare by content, not by size and time.")] = False
    follow: Annotated[bool, Option("--follow", help="Copy what links lead to, also out of the folder.")] = False
    into_shared_folder: Annotated[
        bool, Option("--into-shared-folder", help="As root, also write where others may write.")
    ] = False

    @property
    def only_compares(self) -> bool:
        """Whether nothing is changed."""
        return self.diff or self.dry_run
