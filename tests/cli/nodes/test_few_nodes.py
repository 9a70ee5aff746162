"""Where few of many nodes are wanted, few are asked, and it is said which were not: on real connections."""

import json
from dataclasses import replace

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command

DOORS = "door[1-12]"


@pytest.fixture
def clbalance(lab: Lab, clbalance: Command) -> Command:
    """With twelve names for node1, which have just been asked."""
    config = clbalance.folder / "doors"
    text = lab.ssh_config.read_text()
    config.write_text(
        text.replace("Host node1\n", "Host node1 door*\n").replace("Host node1 node2 ", "Host door* node1 node2 ")
    )
    # However long a busy machine takes from one call to the next.
    (clbalance.folder / "clbalance.toml").write_text("[policy]\nshortlist_age_s = 3600\n")
    doors = replace(clbalance, env={**clbalance.env, "CLBALANCE_SSH_OPTIONS": f"-F {config}"})
    assert doors("load", "-w", DOORS).rc == 0
    return doors


def unasked(command: Command, *options: str) -> set[str]:
    done = command("pick", "-w", DOORS, "--json", *options)
    document = json.loads(done.stdout)
    assert {one["filter"] for one in document["unfit"]} <= {"not asked"}
    assert {one["name"] for one in document["ranked"]} | {one["name"] for one in document["unfit"]} == {
        f"door{number}" for number in range(1, 13)
    }
    return {one["name"] for one in document["unfit"]}


def test_few_are_asked_and_all_with_ask_all(clbalance: Command) -> None:
    assert unasked(clbalance)
    assert not unasked(clbalance, "--ask-all")


def test_a_job_runs_on_one_of_them_and_explain_names_the_others(clbalance: Command) -> None:
    done = clbalance("run", "-w", DOORS, "-c", "echo done")
    assert (done.rc, done.stdout) == (0, b"done\n")
    assert " of 12 asked)" in done.stderr
    assert "`--ask-all` asks all" in clbalance("explain", "last").text
