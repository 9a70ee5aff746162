"""The Grafana dashboard and the alert rules ask for nothing that `metrics` does not print."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from clbalance.model.job_record import JobState
from clbalance.policy.placement.explain import NodeState
from clbalance.policy.placement.gpus import GpuState
from clbalance.render.reports.nodes.metrics import metrics_text
from tests.render.examples.metrics import REPORT

FOLDER = Path(__file__).parents[3] / "examples" / "grafana"
COUNTERS = ("runs_total", "moves_total", "moves_failed_total", "started_total", "score_before", "score_after")
STATES = {
    "clbalance_node_state": {state.value for state in NodeState},
    "clbalance_gpu_state": {state.value.replace(" ", "_") for state in GpuState},
    "clbalance_jobs": {state.value for state in JobState},
}
_METRIC = re.compile(r"(clbalance_\w+)(?:\{([^}]*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


def printed() -> dict[str, set[str]]:
    """The names of all metrics, each with its labels."""
    counters = {f"rebalance_{name}": 1.0 for name in (*COUNTERS, "last_run_seconds")}
    text = metrics_text(replace(REPORT, counters=counters))
    return {
        sample.name: set(sample.labels) for family in text_string_to_metric_families(text) for sample in family.samples
    }


def dashboard() -> Any:
    return json.loads((FOLDER / "dashboard.json").read_text())


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"]
    return list(group["rules"])


def expressions() -> Iterator[tuple[str, str]]:
    for panel in dashboard()["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    yield "variable", dashboard()["templating"]["list"][1]["query"]["query"]


EXPRESSIONS = [pytest.param(text, id=f"{title}-{number}") for number, (title, text) in enumerate(expressions())]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_expression_asks_for_what_is_printed(text: str) -> None:
    found = _METRIC.findall(text)
    assert found
    for name, matchers in found:
        assert name in printed(), "a metric with this name is printed"
        for label, _, value in _MATCHER.findall(matchers):
            assert label in printed()[name], "with this label"
            if label == "state":
                assert set(value.split("|")) <= STATES[name]


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_every_expression_closes_what_it_opens(text: str) -> None:
    assert all(text.count(one) == text.count(other) for one, other in ("()", "{}", "[]"))
    assert text.count('"') % 2 == 0


def test_legends_and_messages_name_labels_that_are_there() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            known = set().union(*(printed()[name] for name, _ in _METRIC.findall(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known, panel["title"]
    for rule in rules():
        known = set().union(*(printed()[name] for name, _ in _METRIC.findall(rule["expr"])))
        assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= known, rule["alert"]


def test_a_metric_that_is_not_printed_would_be_found() -> None:
    assert "clbalance_node_temperature" not in printed()
    assert "gpu" not in printed()["clbalance_node_state"]


def test_panels_have_a_place_each_and_a_data_source_that_the_reader_chooses() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells = {(place["x"] + right, place["y"] + down) for right in range(place["w"]) for down in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", ()):
            assert target["datasource"]["uid"] == "${datasource}"


def test_every_alert_has_a_severity_a_time_and_a_summary() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert re.fullmatch(r"\d+[mhd]", rule.get("for", "0m"))
        assert rule["annotations"]["summary"]
