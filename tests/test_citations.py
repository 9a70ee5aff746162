"""What the text refers to is in the repository."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
CODE = sorted(
    file
    for top in ("clbalance", "man_pages", "tests", "scripts")
    for file in (ROOT / top).rglob("*.*")
    if file.suffix in {".py", ".sh"}
)
TEXTS = [file for file in (*PAGES, *CODE) if file != Path(__file__)]
_LINK = re.compile(r"\]\(([^)#:\s]+)[)#]")
_PAGE = re.compile(r"[\w./-]+\.md\b")


def test_every_page_that_is_named_is_there() -> None:
    known = {page.name for page in PAGES} | {str(page.relative_to(ROOT)) for page in PAGES}
    for file in TEXTS:
        text = file.read_text(errors="replace")
        missing = {name for name in _PAGE.findall(text) if name not in known and not (file.parent / name).exists()}
        assert not missing, file
        assert "DESIGN" not in text, file


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        missing = {target for target in _LINK.findall(page.read_text()) if not (page.parent / target).exists()}
        assert not missing, page
