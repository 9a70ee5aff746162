"""A place with a project folder, a home and a system folder, and nothing else in its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings


@dataclass(frozen=True, slots=True)
class Place:
    root: Path

    @property
    def project(self) -> Path:
        return self.root / "project" / "clbalance.toml"

    @property
    def user(self) -> Path:
        return self.root / "config" / "clbalance" / "clbalance.toml"

    @property
    def system(self) -> Path:
        return self.root / "etc" / "clbalance.toml"

    def write(self, path: Path, text: str | bytes, mode: int = 0o644) -> Path:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return path

    def load(
        self, environment: Mapping[str, str] | None = None, command_line: Mapping[str, str | float | None] | None = None
    ) -> Settings:
        return load_settings(
            {"XDG_CONFIG_HOME": str(self.root / "config"), **(environment or {})},
            self.project.parent,
            command_line,
            system_file=self.system,
        )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    for path in (made.project, made.user, made.system):
        path.parent.mkdir(parents=True)
    return made
