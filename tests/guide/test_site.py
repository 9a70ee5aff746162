"""`make docs` builds the site of docs/ without a warning."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import ROOT


@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (built.returncode, built.stdout, built.stderr) == (0, "", "")
    front = (tmp_path / "index.html").read_text()
    assert "docs/design" in front
    assert re.findall(r"""<(?:script|img|link)[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""", front) == []
    for picture in (tmp_path / "images").iterdir():
        assert not re.search(r"""(?:url\(|href=)["']?(?:https?:)?//""", picture.read_text()), picture
