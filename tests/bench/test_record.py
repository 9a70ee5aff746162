"""The records in docs/benchmarks: what they hold, and that they tell nothing of whose machine it was."""

import json
import re
from typing import Any

from .figure import Figure, Skipped
from .programs import ROOT
from .record import SCHEMA, document, index, page

FIGURES = [
    Figure(name="load", peer="clush", value=0.9, unit="ratio", limit=1.0, pairs=3),
    Figure(name="help", peer="clush", value=0.9, unit="ratio", limit=0.7, pairs=3),
    Figure(name="place", value=12.0, unit="ms"),
]
SKIPPED = [
    Skipped(name="load", peer="pdsh", reason="not installed: `apt-get install pdsh`"),
    Skipped(name="run-all", peer="pdsh", reason="not installed: `apt-get install pdsh`"),
    Skipped(name="sick", reason="exit code 1:\nno"),
]
RECORDS = sorted((ROOT / "docs" / "benchmarks").glob("*.json"))


def told() -> dict[str, Any]:
    found = document(
        date="2026-01-02 03:04 UTC",
        machine={"cpu": "2 cores", "load": "0.1 0.1 0.1 before, 1.0 0.5 0.1 after"},
        programs={"clush": "1.10.1"},
        rounds=3,
        figures=FIGURES,
        skipped=SKIPPED,
    )
    read: dict[str, Any] = json.loads(json.dumps(found))
    return read


def test_a_document_holds_all_figures_and_what_was_skipped_with_the_reason() -> None:
    found = told()
    assert set(found) == {"schema", "date", "machine", "programs", "rounds", "figures", "skipped"}
    assert found["schema"] == SCHEMA
    assert [(one["name"], one["peer"], one["holds"]) for one in found["figures"]] == [
        ("load", "clush", True),
        ("help", "clush", False),
        ("place", "", True),
    ]
    assert found["skipped"][0] == {"name": "load", "peer": "pdsh", "reason": "not installed: `apt-get install pdsh`"}


def test_a_page_has_a_row_for_each_figure_and_a_line_for_each_reason() -> None:
    shown = page("2026-01-02", told(), FIGURES)
    assert "| load | clush | 0.90 |" in shown
    assert "1 of 2 limits hold." in shown
    assert "* pdsh (load, run-all): not installed: `apt-get install pdsh`" in shown
    assert "* clbalance (sick): exit code 1: no" in shown
    assert "(2026-01-02.json)" in shown


def test_the_index_names_the_latest_record_first() -> None:
    shown = index({"2026-01-02": told(), "2026-01-03": told()})
    assert shown.index("(2026-01-03.") < shown.index("(2026-01-02.")


def test_every_record_is_in_the_index_and_has_its_page() -> None:
    kept = {path.stem: json.loads(path.read_text()) for path in RECORDS}
    assert (ROOT / "docs" / "benchmarks" / "index.md").read_text() == index(kept)
    assert all(path.with_suffix(".md").exists() for path in RECORDS)


def test_no_record_names_a_folder_of_the_machine() -> None:
    for path in RECORDS:
        assert not re.search("/(tmp|root|home|work)/", path.read_text()), path
