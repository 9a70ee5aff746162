"""hatchling's build hook: puts the man pages into share/man of a wheel, and the playbooks into its package."""

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManPagesHook(BuildHookInterface[Any]):
    """Runs for wheels; an editable installation has no man pages."""

    _folder: str | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make the pages in a temporary folder, and have them packed."""
        if version == "editable":
            return
        for playbook in Path(self.root, "playbooks").iterdir():
            build_data["force_include"][str(playbook)] = f"clbalance/playbooks/{playbook.name}"
        sys.path.insert(0, self.root)  # this program, as it is here
        from man_pages.pages import write_pages

        self._folder = tempfile.mkdtemp()
        for page in write_pages(Path(self._folder), Path(self.root, "docs", "design")):
            build_data["shared_data"][str(page)] = f"share/man/man{page.suffix[1:]}/{page.name}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder)
