"""Whose word counts, and what becomes of it."""

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from clbalance.errors import SettingsError
from clbalance.policy.placement.policies import Weights
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.settings.keys import KEYS
from clbalance.settings.load import load_settings
from clbalance.settings.values import NodeFacts, Settings

from .conftest import Place


def test_nothing_configured_gives_the_defaults(place: Place) -> None:
    settings = place.load()

    assert settings == Settings(origins=dict.fromkeys(KEYS, "default"))
    assert (settings.ssh.fanout, settings.ssh.connect_timeout_s, settings.ssh.probe_timeout_s) == (64, 10.0, 5.0)


def test_each_source_beats_those_below_it(place: Place) -> None:
    parsed = {}
    for fanout, step in enumerate(("system", "user", "project"), start=1):
        place.write(getattr(place, step), f"[ssh]\nfanout = {fanout}\n")
        parsed[step] = place.load().ssh.fanout
    parsed["environment"] = place.load({"CLBALANCE_FANOUT": "4"}).ssh.fanout
    parsed["command line"] = place.load({"CLBALANCE_FANOUT": "4"}, {"ssh.fanout": 5}).ssh.fanout

    assert parsed == {"system": 1, "user": 2, "project": 3, "environment": 4, "command line": 5}


def test_sources_are_merged_key_by_key_and_every_origin_is_kept(place: Place) -> None:
    place.write(place.system, "[thresholds]\nut_pct = 90\nmem_available_pct = 10\n[policy.weights]\nmemory = 3\n")
    place.write(place.project, "[thresholds]\nut_pct = 80\n")

    settings = place.load({"CLBALANCE_SSH_OPTIONS": "-o Port=2222"})

    assert settings.thresholds == {"ut_pct": 80, "mem_available_pct": 10}
    assert settings.policy.weights == {"memory": 3}
    assert settings.origins["thresholds.ut_pct"] == str(place.project)
    assert settings.origins["thresholds.mem_available_pct"] == str(place.system)
    assert settings.origins["ssh.options"] == "CLBALANCE_SSH_OPTIONS"
    assert settings.origins["ssh.fanout"] == "default"


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_file_may_be_written_on_any_system(place: Place, mark: str, end: str) -> None:
    place.write(place.user, f'{mark}[ssh]{end}user = "bob"{end}'.encode())
    assert place.load().ssh.user == "bob"


def test_a_limit_can_be_switched_off(place: Place) -> None:
    place.write(place.project, '[thresholds]\nr1m_per_cpu = "off"\n')

    assert place.load().thresholds == {"r1m_per_cpu": None}


def test_node_facts_of_stronger_files_come_last_so_that_they_win(place: Place) -> None:
    place.write(place.system, '[[nodes]]\nset = "gpu[1-4]"\ncpu_factor = 1.5\n')
    place.write(place.project, '[[nodes]]\nset = "gpu4"\ncpu_factor = 2\n[[nodes]]\nset = "gpu5"\nslots = 3\n')

    assert place.load().nodes == (
        NodeFacts(node_set="gpu[1-4]", cpu_factor=1.5, origin=str(place.system)),
        NodeFacts(node_set="gpu4", cpu_factor=2, origin=str(place.project)),
        NodeFacts(node_set="gpu5", slots=3, origin=str(place.project)),
    )


def test_clbalance_config_names_one_file_instead_of_all(place: Place) -> None:
    for path in (place.project, place.user, place.system):
        place.write(path, "[ssh]\nfanout = 1\nconnect_timeout_s = 1\n")
    other = place.write(place.root / "other.toml", "[ssh]\nfanout = 9\n")

    settings = place.load({"CLBALANCE_CONFIG": str(other)})

    assert (settings.ssh.fanout, settings.ssh.connect_timeout_s) == (9, 10.0)


def test_clbalance_config_dev_null_reads_no_file(place: Place) -> None:
    place.write(place.project, "[ssh]\nfanout = 1\n")

    assert place.load({"CLBALANCE_CONFIG": "/dev/null"}).ssh.fanout == 64


def test_an_empty_variable_counts_as_not_set(place: Place) -> None:
    place.write(place.project, "[ssh]\nfanout = 3\n")

    assert place.load({"CLBALANCE_FANOUT": "", "CLBALANCE_CONFIG": ""}).ssh.fanout == 3


def test_a_path_in_a_file_starts_from_that_file(place: Place) -> None:
    place.write(place.user, 'groups_conf = "groups.conf"\n')
    assert place.load().groups_conf == str(place.user.parent / "groups.conf")

    place.write(place.user, 'groups_conf = "~/groups.conf"\n')
    assert place.load({"HOME": "/home/ann"}).groups_conf == "/home/ann/groups.conf"

    place.write(place.user, 'groups_conf = "/etc/groups.conf"\n')
    assert place.load().groups_conf == "/etc/groups.conf"


def test_home_is_where_the_user_file_is_without_xdg(tmp_path: Path) -> None:
    file = tmp_path / ".config" / "clbalance" / "clbalance.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[ssh]\nfanout = 7\n")

    found = load_settings(
        {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}, tmp_path, system_file=tmp_path / "none"
    )

    assert found.ssh.fanout == 7


def test_an_empty_environment_as_under_cron_is_enough(tmp_path: Path) -> None:
    assert load_settings({}, tmp_path, system_file=tmp_path / "none").ssh.fanout == 64


def test_every_weight_and_threshold_of_the_policy_can_be_set_and_no_other() -> None:
    weights = {key.removeprefix("policy.weights.") for key in KEYS if key.startswith("policy.weights.")}
    thresholds = {key.removeprefix("thresholds.") for key in KEYS if key.startswith("thresholds.")}

    assert weights == {field.name for field in fields(Weights)}
    assert thresholds == {name for name, _ in Thresholds().bounds}


def test_settings_cannot_be_changed(place: Place) -> None:
    with pytest.raises(FrozenInstanceError):
        place.load().ssh.fanout = 1  # type: ignore[misc]


def test_without_a_file_no_toml_reader_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from clbalance.settings.load import load_settings;"
        f"load_settings({{'CLBALANCE_FANOUT': '3'}}, Path({str(tmp_path)!r}), system_file=Path({str(tmp_path)!r}) / 'none.toml');"
        "sys.exit('tomllib' in sys.modules or 'msgspec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("CLBALANCE_FANOUT", "many", "a whole number from 1 to 10000"),
        ("CLBALANCE_FANOUT", "0", "a whole number from 1 to 10000"),
        ("CLBALANCE_FANOUT", "1.5", "a whole number from 1 to 10000"),
        ("CLBALANCE_FANOUT", "9" * 5000, "a whole number from 1 to 10000"),
        ("CLBALANCE_CONNECT_TIMEOUT", "nan", "a number from 0.1 to 3600"),
        ("CLBALANCE_CONNECT_TIMEOUT", "inf", "a number from 0.1 to 3600"),
        ("CLBALANCE_SSH_OPTIONS", "-p 22\nrm", "options of ssh"),
    ],
)
def test_a_variable_that_does_not_fit_is_named_with_what_would(
    place: Place, name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        place.load({name: value})

    assert name in caught.value.message
    assert allowed in caught.value.hint
    assert len(caught.value.message) < 200


def test_the_command_line_is_held_to_the_same_bounds(place: Place) -> None:
    with pytest.raises(SettingsError, match=r"command line: `ssh\.fanout` is 0"):
        place.load(command_line={"ssh.fanout": 0})


def test_the_example_of_the_documentation_is_valid(place: Place) -> None:
    page = Path(__file__).parents[2] / "docs" / "design" / "settings.md"
    place.write(place.project, page.read_text().split("```toml\n")[1].split("```")[0])

    settings = place.load()

    assert (settings.ssh.user, settings.thresholds["r1m_per_cpu"], settings.nodes[0].cpu_factor) == ("ann", None, 1.5)


def test_labels_and_taints_come_with_their_node_set(place: Place) -> None:
    place.write(
        place.project,
        '[[nodes]]\nset = "gpu[1-4]"\nlabels = { rack = "r1", generation = "7" }\ntaints = ["maintenance", "old", "old"]\n'
        '[[nodes]]\nset = "gpu1"\n[nodes.labels]\nrack = "r2"\n',
    )

    first, second = place.load().nodes

    assert (first.labels, first.taints) == ({"rack": "r1", "generation": "7"}, ("maintenance", "old"))
    assert (second.labels, second.taints) == ({"rack": "r2"}, ())


def test_of_rebalance_only_what_was_set_is_there_and_off_is_none(place: Place) -> None:
    place.write(place.system, "[rebalance]\nhigh = 0.8\nmax_moves = 3\nguaranteed = true\n")
    place.write(place.project, '[rebalance]\nhigh = "off"\ncooldown_s = 0\n')

    settings = place.load()

    assert settings.rebalance == {"high": None, "max_moves": 3, "guaranteed": True, "cooldown_s": 0}
    assert settings.origins["rebalance.high"] == str(place.project)
    assert settings.origins["rebalance.confirm"] == "default"
    assert place.load({"CLBALANCE_CONFIG": "/dev/null"}).rebalance == {}
