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
    sync: Annotated[bool, Option("--sync", help="In folders, also delete what is not in the source.")] = False
    yes: Annotated[bool, Option("--yes", help="Delete without a question.")] = False
    into_shared_folder: Annotated[
        bool, Option("--into-shared-folder", help="As root, also write into folders that others may write.")
    ] = False

    @property
    def only_compares(self) -> bool:
        """Whether nothing is changed."""
        return self.diff or self.dry_run

    @property
    def asks(self) -> bool:
        """Whether there is a question before anything is deleted."""
        return self.sync and not self.yes and not self.only_compares
