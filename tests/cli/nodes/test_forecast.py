"""What is expected of nodes is told with its usual error; what is not known is said, and nothing is promised."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from clbalance.model import NodeName
from clbalance.model.node_history import NodeSample
from clbalance.store.state import SqliteStore
from tests.cli.command import Command


def remember_busy(command: Command, node: str) -> None:
    """Ten hours in which the node had three processes for each cpu, or two."""
    now = datetime.now(UTC)
    with SqliteStore.open(Path(command.env["CLBALANCE_STATE_DIR"])) as store:
        for step in range(120, 0, -1):
            values = {"r1m_per_cpu": 2.0 + step % 2, "ut_pct": 90.0 + step % 2, "mem_available_pct": 15.0}
            past = {NodeName(node): NodeSample(answered=True, values=values)}
            store.remember(now - timedelta(minutes=5 * step), {}, past=past)


def test_what_is_known_of_a_node_is_shown_by_all_verbs_that_foresee(alone: Command) -> None:
    (new,) = json.loads(alone("load", "--forecast", "30m", "--json").stdout)["nodes"]
    assert new["forecast"]["r1m_per_cpu"]["usual_error"] is None
    done = alone("pick", "--for", "2h")
    assert (done.rc, done.lines) == (0, [new["name"]])
    assert f"nothing is known of {new['name']} in 2 h: nobody has asked it often enough" in done.stderr

    (Path(alone.env["CLBALANCE_STATE_DIR"]) / "state.db").unlink()
    remember_busy(alone, new["name"])
    (known,) = json.loads(alone("load", "--forecast", "30m", "--json").stdout)["nodes"]
    queue = known["forecast"]["r1m_per_cpu"]
    assert 1.9 <= queue["expected"] <= 3.1
    assert 0.0 < queue["usual_error"] <= queue["error_of_last_value"]
    assert known["forecast"]["peaks"] == {"cpu_use_p95_pct": 95.0, "mem_used_p98_pct": 90.0}

    done = alone("pick", "--for", "2h", "--json")
    (told,) = json.loads(done.stdout)["stays_free"]
    assert (told["name"], told["stays_free"]) == (new["name"], "no")
    assert f"warning: {new['name']} will probably not stay free for 2 h: load" in done.stderr
    (past,) = json.loads(alone("history", "--forecast", "30m", "--json").stdout)["nodes"]
    assert 1.9 <= past["indices"]["r1m_per_cpu"]["forecast"]["expected"] <= 3.1
    assert past["indices"]["mem_available_pct"]["forecast"] is None
    assert 'index="r1m",ahead="30m"}' in alone("metrics").text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("load", "--forecast", "2d"), "`--forecast` cannot be '2d'\nhint: at most a day"),
        (("load", "--forecast", "soon"), "`--forecast` cannot be 'soon'\nhint: like"),
        (("load", "--forecast", "1h", "--heat"), "`--heat` and `--forecast` are two views\nhint: one of them"),
        (("history", "--forecast", "1h", "--until", "2h"), "`--forecast` looks ahead from now\nhint: leave out"),
        (("pick", "--for", "-1h"), "`--for` cannot be '-1h'\nhint: like"),
    ],
)
def test_a_time_that_no_forecast_reaches_is_told_with_what_to_type(
    alone: Command, typed: tuple[str, ...], message: str
) -> None:
    done = alone(*typed)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr
