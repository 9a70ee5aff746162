"""Python plug-ins: only named ones are loaded, and what goes wrong in one is told with its name."""

import json
import sys
from contextlib import ExitStack

import pytest

from clbalance.wiring.plugins.entry_points import contained
from clbalance.wiring.plugins.rules import points_of, reason_of
from tests.cli.command import Command, Done

MODULE = """
import sys

def fine(node, request):
    return None
def keeps(node, request):
    return f"kept: {sorted(node)} {node['indices']['cpus'] is not None} {request['cpus']}"
def breaks(node, request):
    raise ValueError("no [bold]such[/bold] thing\\x1b[2J")
def exits(node, request):
    raise SystemExit(3)
def lies(node, request):
    print("lies")
    return float("nan")
def best(node, request):
    return 100
def hosts():
    return {"front": "localhost", "odd": "node1"}
def no_hosts():
    return ["n1"]
def tell(job):
    print("ended", job["id"], job["state"], job["rc"], file=sys.stderr)
NOT_A_FUNCTION = 3
TEXT = "#!/bin/sh\\necho up 7\\n"
print("loaded")  # the program's standard output is data
"""
POINTS = {
    "filters": ("fine", "keeps", "breaks", "exits", "NOT_A_FUNCTION", "missing"),
    "scorers": ("best", "lies", "breaks"),
    "groups": ("hosts", "no_hosts"),
    "notifiers": ("tell", "breaks"),
    "probes": ("TEXT", "hosts"),
}


@pytest.fixture
def installed(alone: Command) -> Command:
    """A package with all of them. `python -m` finds it in the working directory."""
    (alone.folder / "site_plugins.py").write_text(MODULE)
    info = alone.folder / "site_plugins-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: site-plugins\nVersion: 1.0\n")
    points = [
        line
        for group, names in POINTS.items()
        for line in (f"[clbalance.{group}]", *(f"{name} = site_plugins:{name}" for name in names))
    ]
    (info / "entry_points.txt").write_text("\n".join(points) + "\n")
    return alone


def called(command: Command, settings: str, *arguments: str) -> Done:
    (command.folder / "clbalance.toml").write_text(f"[ssh]\nprobe_timeout_s = 60\n{settings}")
    return command(*arguments)


def test_nothing_is_loaded_that_is_not_named_or_not_used(installed: Command) -> None:
    assert "loaded" not in called(installed, "", "load").stderr
    everything = '[plugins]\nfilters = ["fine"]\nscorers = { best = 1 }\nnotifiers = ["tell"]\n'
    assert "loaded" not in called(installed, everything, "jobs").stderr
    assert called(installed, everything, "load").stderr.count("loaded") == 1


def test_a_filter_keeps_nodes_out_and_sees_plain_values(installed: Command) -> None:
    done = called(installed, '[plugins]\nfilters = ["fine", "keeps"]\n', "pick")
    assert done.rc == 3
    assert "kept: ['checks', 'gpus', 'indices', 'labels', 'name', 'taints'] True" in done.stderr


@pytest.mark.parametrize(
    ("name", "error"),
    [
        pytest.param("breaks", "ValueError: no [bold]such[/bold] thing[2J", id="one that raises"),
        pytest.param("exits", "SystemExit: 3", id="one that wants to exit"),
        pytest.param("missing", "AttributeError", id="one that its package does not have"),
        pytest.param("nowhere", "is not installed", id="one that nothing has installed"),
    ],
)
def test_a_filter_that_fails_is_named_once_and_the_sweep_goes_on(installed: Command, name: str, error: str) -> None:
    done = called(installed, f'[plugins]\nfilters = ["{name}"]\n', "load", "--json")
    assert done.rc == 0
    assert [node["score"] for node in json.loads(done.text)["nodes"]] == [None]
    told = [line for line in done.stderr.splitlines() if "warning" in line]
    assert len(told) == 1
    assert f"the filter {name}" in told[0]
    assert error in told[0]
    assert "Traceback" not in done.stderr


def test_a_scorer_that_lies_is_named_and_the_others_rank(installed: Command) -> None:
    done = called(installed, "[plugins]\nscorers = { lies = 1, best = 1 }\n", "pick", "--explain")
    assert done.rc == 0
    assert "the scorer lies failed: ValueError: it returned nan, which is not from 0 to 100" in done.stderr
    assert "lies\n" in done.stderr
    assert "lies\n" not in done.text
    assert "best 100.0x1 (plug-in, 100 points)" in " ".join((done.text + done.stderr).split())


def test_groups_of_a_plugin_are_a_group_source(installed: Command) -> None:
    settings = '[plugins]\ngroups = ["hosts", "no_hosts"]\n'
    assert called(installed, settings, "config", "timer", "-g", "hosts:front", "--only", "cron").rc == 0
    done = called(installed, settings, "config", "timer", "-g", "hosts:none", "--only", "cron")
    assert (done.rc, "hosts:none" in done.stderr) == (2, True)
    done = called(installed, '[plugins]\ngroups = ["no_hosts"]\n', "load", "@no_hosts:x")
    assert done.rc != 0
    assert "the group no_hosts must return node sets by group, and returned a list" in done.stderr


def test_notifiers_are_told_of_ends_and_one_that_fails_is_a_warning(installed: Command) -> None:
    done = called(installed, '[plugins]\nnotifiers = ["breaks", "tell"]\n', "run", "-q", "--", "sh", "-c", "exit 3")
    assert done.rc == 3
    assert "ended 1 FAILED 3" in done.stderr


def test_config_check_and_doctor_tell_what_is_wrong(installed: Command) -> None:
    done = called(installed, '[plugins]\nfilters = ["NOT_A_FUNCTION"]\n', "config", "check")
    assert (done.rc, "is a int, and must be a function" in done.stderr) == (2, True)
    done = called(installed, "[plugins]\nscorers = { bests = 1 }\n", "doctor")
    assert "the scorer bests is not installed" in done.text
    assert "did you mean `best`?" in done.text
    assert called(installed, "[plugins]\nscorers = { best = 1 }\n", "config", "check").rc == 0


def test_a_probe_of_a_package_is_a_program_of_an_index(installed: Command) -> None:
    done = called(installed, '[index.up]\nprobe = "TEXT"\ntimeout_s = 30\n', "load", "--json")
    assert json.loads(done.text)["nodes"][0]["indices"] == {"up": 7.0}
    done = called(installed, '[index.up]\nprobe = "hosts"\n', "load")
    assert (done.rc, "gives a dict, and no text of a program" in done.stderr) == (2, True)


@pytest.mark.parametrize("result", [True, "5", None, -0.1, 100.1, float("nan"), float("inf"), [1]])
def test_points_are_numbers_from_0_to_100(result: object) -> None:
    with pytest.raises((TypeError, ValueError), match="it returned"):
        points_of(result)


@pytest.mark.parametrize(
    ("result", "reason"), [(None, None), ("", "no reason given"), ("a\x1b[1m\nb", "a[1m"), ("x" * 500, "x" * 119 + "…")]
)
def test_a_reason_is_one_line_that_can_be_shown(result: object, reason: str | None) -> None:
    assert reason_of(result) == reason


def test_anything_else_than_a_text_is_no_reason() -> None:
    with pytest.raises(TypeError, match="must return a text or None"):
        reason_of(False)


def test_standard_output_is_back_once_the_plugins_of_all_threads_have_returned() -> None:
    before = sys.stdout
    first, second = ExitStack(), ExitStack()
    first.enter_context(contained("filters", "one"))
    second.enter_context(contained("scorers", "other"))
    first.close()
    assert sys.stdout is sys.stderr
    second.close()
    assert sys.stdout is before
