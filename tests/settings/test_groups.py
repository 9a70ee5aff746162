"""A group may have a policy of its own."""

from pathlib import Path

import pytest

from clbalance.cli.node_settings import policy_of
from clbalance.cli.options import NodeOptions
from clbalance.errors import SettingsError
from clbalance.policy.placement.policies import KINDS, Policy, Rule
from clbalance.policy.placement.thresholds import Thresholds
from clbalance.policy.queue.queues import WAITING_LISTS
from clbalance.settings.keys import AUTO, POLICIES, QUEUES
from clbalance.settings.load import load_settings
from clbalance.settings.values import Settings

TEXT = """
[policy]
name = "spread"
[policy.weights]
memory = 3
[[groups]]
group = "gpu"
policy = "fgd"
weights = { packing = 0.5 }
[[groups]]
group = "old"
weights = { cpu_use = 1 }
"""


def settings_of(tmp_path: Path, text: str) -> Settings:
    (tmp_path / "clbalance.toml").write_text(text)
    return load_settings({"CLBALANCE_CONFIG": str(tmp_path / "clbalance.toml")}, tmp_path)


def chosen(settings: Settings, typed: str | None = None, **nodes: list[str]) -> Policy:
    return policy_of(settings, Thresholds(), NodeOptions(**nodes), typed)  # type: ignore[arg-type]


def test_the_names_in_files_are_those_of_the_policies() -> None:
    assert set(POLICIES) == {*KINDS, AUTO}
    assert set(QUEUES) == {*WAITING_LISTS, AUTO}


def test_a_group_that_is_named_alone_brings_its_policy(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, TEXT)
    assert chosen(settings).name == "spread"
    gpu = chosen(settings, groups=["gpu"])
    assert (gpu.name, gpu.weights.packing, gpu.weights.memory) == ("fgd", 0.5, 0.0)
    old = chosen(settings, groups=["old"])
    assert (old.name, old.weights.cpu_use, old.weights.memory) == ("spread", 1.0, 3.0)
    assert chosen(settings, groups=["gpu"], nodes=["n1"]).name == "spread"
    assert chosen(settings, groups=["gpu", "old"]).name == "spread"


def test_what_is_typed_wins_and_brings_its_own_weights(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, TEXT)
    typed = chosen(settings, "p2c", groups=["gpu"])
    assert (typed.name, typed.rule, typed.weights.packing) == ("p2c", Rule.TWO_CHOICES, 0.0)
    with pytest.raises(SettingsError, match="lest"):
        chosen(settings, "lest")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[groups]]\npolicy = 'fgd'\n", "`groups[1]` has no `group`"),
        ("groups = 3\n", "`groups` is 3"),
        ("[[groups]]\ngroup = 'g'\npolicy = 'best'\n", "`groups[1].policy` is the string 'best'"),
        ("[[groups]]\ngroup = 'g'\nweights = { speed = 1 }\n", "unknown key `groups[1].weights.speed`"),
        ("[policy.weights]\nrun_queue = -1\n", "`policy.weights.run_queue` is -1"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        settings_of(tmp_path, text)
    assert message in error.value.message
    assert error.value.hint
