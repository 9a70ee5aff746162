"""A policy that is chosen: by hand from a log, and once a day from what this host remembers."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clbalance.policy.backtest.values import Choice
from clbalance.policy.backtest.written import to_text
from clbalance.store.state import SqliteStore
from tests.cli.command import Command

KTH = Path(__file__).parents[2] / "traces" / "data" / "kth-sp2-first-jobs.swf"
PATIENT = "[ssh]\nconnect_timeout_s = 600\nprobe_timeout_s = 600\n"
AUTO = PATIENT + '[policy]\nname = "auto"\nqueue = "auto"\n'
HEADING = "job,submit_s,duration_s,cpus,mem_bytes,gpus,gpu_share,gpu_model"
DAY_S = 86_400


def jobs_of_days(days: int) -> str:
    """On each day a long job on all cpus, a longer one behind it, and a short one behind both."""
    rows = [
        f"{at},{day * DAY_S + at},{duration_s},4,1,0,,"
        for day in range(days)
        for at, duration_s in enumerate((1000, 9000, 10))
    ]
    return "\n".join([HEADING, *rows, ""])


@pytest.fixture
def files(folder: Path) -> tuple[str, str]:
    (folder / "nodes.csv").write_text("name,cpus,mem_bytes,gpus,gpu_model,gpu_mem_bytes\nn1,4,1024,0,,\n")
    (folder / "jobs.csv").write_text(jobs_of_days(9))
    return "jobs.csv", "nodes.csv"


def test_by_hand_it_says_what_would_be_chosen_and_why(alone: Command, files: tuple[str, str]) -> None:
    document = json.loads(alone("replay", "--choose", *files, "--json").stdout)
    queue, placement = document["choices"]
    assert (queue["subject"], queue["policy"], queue["days"], queue["jobs"]) == ("queue", "priority", 9, 27)
    verdicts = {one["policy"]: one["verdict"] for one in queue["policies"]}
    assert verdicts == {
        "priority": "chosen",
        "sjf": "passes",
        "easy": "passes",
        "easy-sjbf": "passes",
        "fcfs": "passes",
    }
    slowdowns = {one["policy"]: one["slowdown"] for one in queue["policies"]}
    assert slowdowns["priority"] < slowdowns["easy"]
    assert (placement["policy"], placement["margin_pct"]) == ("least", 0.0)
    told = alone("replay", "--choose", *files)
    assert told.lines[0].split() == ["FOR", "POLICY", "VERDICT", "SLOWDOWN", "WORST", "STARTED", "WHY"]
    assert told.lines[-1] == "placement: least (no other policy has less slowdown; jobs of 9 days)"
    plain = alone("replay", "--choose", *files, "--format", "plain").lines
    assert plain[0].split("\t")[:3] == ["queue", "priority", "chosen"]


def test_of_a_log_that_counts_processors_only_the_list_is_chosen(alone: Command) -> None:
    told = alone("replay", "--choose", str(KTH))
    assert told.lines == ["waiting list: priority (the default: the history has jobs of 5 days, and 7 days are needed)"]
    assert "placement makes no difference" in told.stderr


@pytest.mark.parametrize("typed", [("--policy", "fgd"), ("--queue", "easy"), ("--repeat", "2")])
def test_what_is_chosen_among_cannot_be_typed(alone: Command, files: tuple[str, str], typed: tuple[str, str]) -> None:
    refused = alone("replay", "--choose", *files, *typed)
    assert refused.rc == 2
    assert "replays every policy once" in refused.stderr


def test_once_a_day_rebalance_chooses_and_says_so(alone: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text(AUTO)
    before = json.loads(alone("config", "show", "--json").stdout)["settings"]
    assert before["auto.queue"] == {"value": "priority", "origin": "default"}
    done = alone("rebalance", "--apply")
    assert (done.rc, done.text) == (0, "")
    assert done.stderr.splitlines() == [
        "clbalance: waiting list: priority (the default: the history has no job that has ended, and 7 days are needed)",
        "clbalance: placement: least (the default: the history has no job that has ended, and 7 days are needed)",
    ]
    shown = json.loads(alone("config", "show", "--json").stdout)["settings"]
    assert shown["auto.placement"]["value"]["policy"] == "least"
    assert shown["auto.placement"]["origin"] == "chosen"


def test_without_auto_nothing_is_chosen(alone: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "clbalance.toml").write_text(PATIENT)
    assert alone("rebalance", "--apply").stderr == ""
    with SqliteStore.open(tmp_path / "lonely-state") as store:
        assert store.choice("progress") is None


def test_the_chosen_policy_is_used_and_explain_names_it(alone: Command, folder: Path, tmp_path: Path) -> None:
    (folder / "clbalance.toml").write_text(AUTO)
    (tmp_path / "lonely-state").mkdir(mode=0o700)
    at = datetime(2026, 11, 30, 4, tzinfo=UTC) - timedelta(days=3)
    choice = Choice(subject="placement", policy="pack", before="least", at=at, reason="it was best")
    with SqliteStore.open(tmp_path / "lonely-state") as store:
        store.keep_choices({"placement": to_text(choice)})
    assert alone("run", "--", "true").rc == 0
    told = alone("explain")
    assert "packing" in told.text
    assert told.lines[-1] == "placement now: pack instead of least, chosen 2026-11-27 (it was best)"
    assert json.loads(alone("explain", "--json").stdout)["choices"][0]["policy"] == "pack"
    assert alone("run", "--policy", "fgd", "--", "true").rc == 0
    assert "placement now" not in alone("explain").text


def test_explain_says_points_only_where_they_count(alone: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text(PATIENT)
    assert alone("run", "--detach", "--queue", "--begin", "2099-01-01", "--", "true").rc == 0
    assert " points: 0 priority, " in alone("explain").stderr
    (folder / "clbalance.toml").write_text(PATIENT + '[policy]\nqueue = "easy"\n')
    told = alone("explain").stderr
    assert "the waiting list is `easy`, for jobs of one priority: in order of arrival" in told
    assert "points" not in told


@pytest.mark.parametrize(
    "text",
    [
        AUTO + "[policy.weights]\nmemory = 2\n",
        AUTO + '[[groups]]\ngroup = "gpu"\nweights = { memory = 2 }\n',
        '[[groups]]\ngroup = "gpu"\npolicy = "auto"\nweights = { memory = 2 }\n',
    ],
)
def test_weights_for_auto_are_refused(alone: Command, folder: Path, text: str) -> None:
    (folder / "clbalance.toml").write_text(text)
    refused = alone("config", "check")
    assert refused.rc == 2
    assert "weight `memory` for the policy `auto`" in refused.stderr


def test_a_list_that_does_not_exist_is_refused(alone: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text('[policy]\nqueue = "lifo"\n')
    refused = alone("config", "check")
    assert refused.rc == 2
    assert '"easy-sjbf" or "auto"' in refused.stderr
