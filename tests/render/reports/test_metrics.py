"""What Prometheus reads: held to its own parser and to the format's grammar."""

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from clbalance.model import Cause, Unknown
from clbalance.render.reports.nodes.metrics import Family, exposition, metrics_text
from tests.render.build import LEASED, UNREADABLE, gpu, silent, up
from tests.render.examples.metrics import REPORT

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\\\|\\"|\\n)*"'
SAMPLE = re.compile(rf"({NAME})(?:\{{{LABEL}(?:,{LABEL})*\}})? -?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?")


def strictly(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample; every line must fit the grammar, families must not be mixed, and no sample may be there twice."""
    assert text.endswith("\n") or not text
    family, seen = "", set()
    for line in text.splitlines():
        if message := re.fullmatch(rf"# HELP ({NAME}) (?:[^\\\n]|\\\\|\\n)*", line):
            assert message[1] not in seen
            seen.add(message[1])
            family = message[1]
        elif message := re.fullmatch(rf"# TYPE ({NAME}) (gauge|counter)", line):
            assert message[1] == family
            assert (message[2] == "counter") == family.endswith("_total")
        else:
            message = SAMPLE.fullmatch(line)
            assert message is not None, line
            assert message[1] == family
    samples = [sample for one in text_string_to_metric_families(text) for sample in one.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples) == sum(not line.startswith("#") for line in text.splitlines())
    return found


def of(text: str, name: str, **labels: str) -> float | None:
    return strictly(text).get((f"clbalance_{name}", tuple(sorted(labels.items()))))


def test_the_example_is_what_prometheus_reads() -> None:
    assert strictly(metrics_text(REPORT))


def test_names_follow_the_conventions_and_units_are_base_units() -> None:
    for name, _ in strictly(metrics_text(REPORT)):
        assert re.fullmatch(r"clbalance_[a-z0-9]+(_[a-z0-9]+)*", name)
        assert not re.search(r"percent|pct|_ms|kilo|mega|_time$", name)


def test_what_is_unknown_has_no_sample_and_is_never_zero() -> None:
    unknown = Unknown(reason="it hangs")
    row = up("n", None, run_queue=unknown, pressure=unknown, leases=unknown, gpus=unknown)
    message = metrics_text(replace(REPORT, rows=[row, silent("s", cause=Cause.HUNG)], counters={}))
    assert of(message, "node_up", node="n") == 1
    assert of(message, "node_up", node="s") == 0
    names = {name for name, _ in strictly(message)}
    gone = ("load_per_cpu", "run_queue", "pressure_ratio", "leases", "leased_cpus", "score")
    assert names.isdisjoint({f"clbalance_node_{name}" for name in gone})
    assert not [name for name in names if name.startswith(("clbalance_gpu", "clbalance_rebalance"))]
    assert of(message, "node_memory_total_bytes", node="s") is None


def test_figures_are_in_base_units() -> None:
    message = metrics_text(
        replace(REPORT, rows=[up("n", r1m=8.0, leases=[LEASED, UNREADABLE], gpus=[gpu(3, used_gib=40, use_pct=98.0)])])
    )
    assert of(message, "node_run_queue", node="n", span="1m") == 8.0
    assert of(message, "node_cpu_use_ratio", node="n") == pytest.approx(0.123)
    assert of(message, "node_pressure_ratio", node="n", resource="io") == pytest.approx(0.12)
    assert (of(message, "node_leases", node="n"), of(message, "node_leased_cpus", node="n")) == (2, 4)
    device = {"node": "n", "gpu": "3", "uuid": "GPU-3", "model": "NVIDIA H100"}
    assert of(message, "gpu_use_ratio", **device) == pytest.approx(0.98)
    assert of(message, "gpu_memory_used_bytes", **device) == 40 << 30
    assert of(message, "rebalance_runs_total") == 7
    assert of(message, "rebalance_last_run_timestamp_seconds") == 1.7e9


def test_a_node_that_tells_one_device_twice_costs_nobody_the_file() -> None:
    message = metrics_text(replace(REPORT, rows=[up("n", gpus=[gpu(0), gpu(0)])]))
    assert of(message, "gpu_memory_total_bytes", node="n", gpu="0", uuid="GPU-0", model="NVIDIA H100") == 80 << 30


@given(st.text(), st.floats())
def test_no_text_and_no_number_breaks_the_format(text: str, value: float) -> None:
    message = exposition([Family(name="x", kind="gauge", help="h", samples=[((("a", text),), value)])])
    if not math.isfinite(value):
        assert message == ""
        return
    ((_, read),) = strictly(message).items()
    assert read == pytest.approx(value, rel=1e-11)
    assert "\x1b" not in message


def test_labels_and_help_are_escaped() -> None:
    hostile = 'a"b\\c\n} 1\nevil{x="'
    message = exposition([Family(name="x", kind="gauge", help="two\nlines \\", samples=[((("a", hostile),), 1.0)])])
    assert message.splitlines() == [
        "# HELP x two\\nlines \\\\",
        "# TYPE x gauge",
        r'x{a="a\"b\\c\\x0a} 1\\x0aevil{x=\""} 1',
    ]
