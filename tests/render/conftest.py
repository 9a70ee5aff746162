"""Goldens: text kept in tests/golden, compared to the letter; `CLBALANCE_BLESS=1 pytest tests/render` renews them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

_GOLDEN = Path(__file__).parent.parent / "golden"


@pytest.fixture
def golden() -> Callable[[str, str], None]:
    def check(name: str, text: str) -> None:
        file = _GOLDEN / name
        if os.environ.get("CLBALANCE_BLESS"):
            file.write_text(text)
        assert file.exists(), f"no golden {name}: CLBALANCE_BLESS=1 pytest {Path(__file__).parent} makes it"
        assert text == file.read_text()

    return check
