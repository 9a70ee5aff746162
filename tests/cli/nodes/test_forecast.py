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
    """Ten hours in which the node had two processes for each cpu, and now and then three."""
    state, now = Path(command.env["CLBALANCE_STATE_DIR"]), datetime.now(UTC)
    state.mkdir(mode=0o700, exist_ok=True)
    with SqliteStore.open(state) as store:
        for step in range(120, 0, -1):
            values = {"r1m_per_cpu": 3.0 if step % 7 == 0 else 2.0, "ut_pct": 91.0, "mem_available_pct": 14.0}
            past = {NodeName(node): NodeSample(answered=True, values=values)}
            store.remember(now - timedelta(minutes=5 * step), {}, past=past)


@pytest.mark.usefixtures("lab")
def test_what_is_known_of_a_node_is_shown_by_all_verbs_that_foresee(clbalance: Command) -> None:
    """It is idle for a moment; whether that counts as one step or as two."""
    remember_busy(clbalance, "node1")
    shown = json.loads(clbalance("load", "node[1-2]", "--forecast", "30m", "--json").stdout)["nodes"]
    of_node = {one["name"]: one["forecast"] for one in shown}
    queue = of_node["node1"]["r1m_per_cpu"]
    assert queue["expected"] == 2.0
    assert 0.0 < queue["usual_error"] < queue["error_of_last_value"]
    assert of_node["node1"]["peaks"] == {"cpu_use_p95_pct": 95.0, "mem_used_p98_pct": 90.0}
    assert of_node["node2"]["r1m_per_cpu"]["usual_error"] is None

    done = clbalance("pick", "node[1-2]", "--pick", "2", "--for", "2h", "--json")
    told = {one["name"]: one["stays_free"] for one in json.loads(done.stdout)["stays_free"]}
    assert told == {"node1": "no", "node2": "unknown"}
    assert "warning: node1 will probably not stay free for 2 h: load 2.25 per cpu expected with this job" in done.stderr
    assert "nothing is known of node2 in 2 h: nobody has asked it often enough" in done.stderr
    (past,) = json.loads(clbalance("history", "node1", "--forecast", "30m", "--json").stdout)["nodes"]
    assert past["indices"]["r1m_per_cpu"]["forecast"]["expected"] == 2.0
    assert past["indices"]["mem_available_pct"]["forecast"] is None
    assert 'clbalance_node_forecast_error{node="node1",index="r1m",ahead="30m"}' in clbalance("metrics", "node1").text


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
