"""`report` shows what this host has recorded, in every form; it asks no node, and says what is wrong with what is typed."""

import json
import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clbalance.model import NodeName
from clbalance.model.node_history import LeasedUse, NodeSample
from clbalance.store.state import SqliteStore
from tests.cli.command import Command, Done

NODE = NodeName("n1")
UID = 4_000_000_000
"""Of nobody."""
HOUR = timedelta(hours=1)


@pytest.fixture
def recorded(alone: Command) -> Callable[..., Done]:
    """`report` on a node that was busy for three hours, with a GPU that somebody held and did not use."""
    now = datetime.now(UTC)
    state = Path(alone.env["CLBALANCE_STATE_DIR"])
    state.mkdir(mode=0o700)
    with SqliteStore.open(state) as store:
        for minutes in range(0, 180, 5):
            sample = NodeSample(
                answered=True,
                values={"cpus": 4.0, "gpus": 1.0, "leased_cpus": 2.0, "ut_pct": 50.0, "load_per_cpu": 0.5},
                gpus=({"use_pct": 0.0, "leased_pct": 100.0, "idle_pct": 100.0},),
                leases=(LeasedUse(key="abc", uid=UID, cpus=2.0, gpus=1.0, gpus_known=1.0, gpus_idle=1.0),),
            )
            store.remember(now - timedelta(minutes=minutes), {}, None, {NODE: sample})

    def report(*typed: str, settings: str = "") -> Done:
        file = alone.folder / "clbalance.toml"
        file.write_text(settings)
        return alone("report", "-w", "n1", *typed)

    return report


def document(done: Done) -> Any:
    assert done.rc == 0, done.stderr
    return json.loads(done.text)


def test_what_was_recorded_is_told_with_its_shares(recorded: Callable[..., Done]) -> None:
    found = document(recorded("--since", "2h", "--json"))
    total, (user,) = found["total"], found["users"]
    assert (total["node_count"], total["cpus"], total["gpus"]) == (1, 4.0, 1.0)
    assert (total["cpu_allocated_pct"], total["cpu_used_pct"], total["gpu_idle_pct"]) == (50.0, 50.0, 100.0)
    assert total["cost"] is None
    assert (user["name"], user["jobs"], user["cpu_used_hours"]) == (f"uid {UID}", 1, None)
    assert user["gpu_hours"] == pytest.approx(2.0, abs=1 / 6)
    assert [one["job"] for one in found["wasters"]] == [f"uid {UID}/abc"]


def test_prices_make_costs_and_holes_make_none(recorded: Callable[..., Done]) -> None:
    prices = '[prices]\ncurrency = "EUR"\n[[nodes]]\nset = "n[1-2]"\nprice_gpu_hour = 10\n'
    (user,) = document(recorded("--since", "2h", "--json", settings=prices))["users"]
    assert user["cost"] == pytest.approx(10 * user["gpu_hours"])
    assert user["unpriced_cpu_hours"] == pytest.approx(user["cpu_hours"])
    done = recorded("--since", "2h", settings=prices)
    assert "cpu-hours have no price, and are not in the cost" in done.text
    assert "EUR" in done.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("[prices]\ngpu_hour = -1\n", "`prices.gpu_hour` is -1\nhint: give a number from 0 to 1000000"),
        ("[prices]\ncpu_hour = nan\n", "`prices.cpu_hour` is nan"),
        ('[prices]\ncpu_hour = "free"\n', "`prices.cpu_hour` is the string 'free'"),
        ("[prices]\ngpu = 1\n", "unknown key `prices.gpu`"),
        ('[[nodes]]\nset = "n1"\nprice_gpu_hour = -0.1\n', "`nodes[1].price_gpu_hour` is -0.1"),
    ],
)
def test_a_price_that_cannot_be_is_refused(recorded: Callable[..., Done], settings: str, message: str) -> None:
    done = recorded(settings=settings)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("--since", "1h", "--until", "2h"), "`--since` 1h is not before `--until` 2h"),
        (("--csv", "--markdown"), "`--csv` does not go with `--markdown`"),
        (("--csv", "--json"), "`--csv` does not go with `--json`"),
        (("--html", "no-such-folder/r.html"), "No such file or directory"),
        (("--html", "/"), "cannot write '/'"),
    ],
)
def test_what_makes_no_sense_is_refused(recorded: Callable[..., Done], typed: tuple[str, ...], message: str) -> None:
    done = recorded(*typed)
    assert done.rc == 2
    assert message in done.stderr


def test_nothing_recorded_is_told_and_is_no_failure(alone: Command) -> None:
    done = alone("report", "-w", "n1")
    assert done.rc == 0
    assert "nothing was recorded in this time" in done.text
    total = document(alone("report", "-w", "n1", "--json"))["total"]
    assert (total["seen_pct"], total["available_pct"], total["cpu_used_hours"], total["cost"]) == (
        0.0,
        None,
        None,
        None,
    )
    assert alone("report", "-w", "n1", "--csv").rc == 0


def test_two_periods_are_shown_side_by_side(recorded: Callable[..., Done]) -> None:
    found = document(recorded("--compare", "1h", "--json"))
    before, after = (
        datetime.fromisoformat(found[which]["until"]) - datetime.fromisoformat(found[which]["since"])
        for which in ("before", "after")
    )
    assert before == after, "as long as each other"
    changes = {one["figure"]: one for one in found["changes"]}
    assert changes["cpus used"]["change"] == 0.0
    assert "Before and after" in recorded("--since", "2h", "--compare", "1h").text


def test_the_page_is_written_whole_and_nothing_is_printed(recorded: Callable[..., Done], folder: Path) -> None:
    done = recorded("--html", "r.html")
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "")
    text = (folder / "r.html").read_text()
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert document(recorded("--html", "r.html", "--json"))["total"]["node_count"] == 1


def test_a_page_that_cannot_be_written_leaves_the_old_one(recorded: Callable[..., Done], folder: Path) -> None:
    (folder / "r.html").write_text("old")
    (folder / "r.html").chmod(stat.S_IRUSR | stat.S_IWUSR)
    done = recorded("--html", "r.html", "--since", "soon")
    assert done.rc == 2
    assert (folder / "r.html").read_text() == "old"
    assert os.listdir(folder).count("r.html") == 1


def test_csv_and_markdown_go_to_standard_output(recorded: Callable[..., Done]) -> None:
    assert recorded("--csv").text.startswith("period,section,name,figure,value\r\n")
    assert recorded("--markdown").text.startswith("# Report\n")
