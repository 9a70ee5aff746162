"""`diagnose`: what a sick node can still say is in a file each, and nothing on the node is changed."""

import hashlib
from pathlib import Path

from clbalance.lab.cluster import Lab
from clbalance.lab.node import LabNode
from tests.cli.command import Command, Done
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.playbooks.support import FOLDER, given, home, quick, states_of

FACTS = {"node", "processes", "disks", "network", "kernel", "services", "gpus", "logs"}


def diagnosed(clbalance: Command, nodes: str, **values: str) -> Done:  # noqa: F811
    return clbalance("play", "diagnose", "-w", nodes, "--json", *given(**{"logs": "/nowhere", **values}))


def said(clbalance: Command, fact: str, node: str) -> str:  # noqa: F811
    return (clbalance.folder / "diagnosis" / f"{fact}.{node}").read_text()


def stand_in(node: LabNode, name: str, text: str) -> None:
    """A program of this node in place of the system's."""
    program = node.folder.bin / name
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def content(node: LabNode) -> dict[str, str]:
    """Every file that a program could have written there, with a sum."""
    places = [node.folder.tmp, node.folder.var, node.folder.path / "home"]
    files = (file for place in places for file in place.rglob("*") if file.is_file())
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_each_fact_of_each_node_is_a_file_and_the_nodes_are_not_changed(
    clbalance: Command,  # noqa: F811
    lab: Lab,
) -> None:
    log = home(clbalance, "node1") / "slurmd.log"
    log.write_text("error: no munge\n")
    before = [content(node) for node in lab.nodes[:2]]
    done = diagnosed(clbalance, "node[1-2]", logs=str(log))
    assert (done.rc, states_of(done)) == (0, {"node1": "ok", "node2": "ok"})
    written = {file.name for file in (clbalance.folder / "diagnosis").iterdir()}
    assert written == {f"{fact}.node{at}" for fact in FACTS for at in (1, 2)}
    assert "Linux node1" in said(clbalance, "node", "node1")
    assert "error: no munge" in said(clbalance, "logs", "node1")
    assert "only reboots" in said(clbalance, "services", "node1"), "what failed is in its file"
    assert [content(node) for node in lab.nodes[:2]] == before
    again = diagnosed(clbalance, "node[1-2]", logs=str(log))
    assert (again.rc, {file.name for file in (clbalance.folder / "diagnosis").iterdir()}) == (0, written)


def test_a_fact_that_hangs_or_fails_is_not_the_end(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    stand_in(lab.nodes[0], "df", "exec sleep 600")
    stand_in(lab.nodes[0], "ps", "echo no processes >&2; exit 4")
    own = clbalance.folder / "config/clbalance/playbooks" / "diagnose.yml"
    quick(clbalance, "diagnose")
    text = (FOLDER / "diagnose.yml").read_text()
    own.write_text(text.replace('disks"\n    timeout: 20s', 'disks"\n    timeout: 1s'))
    done = diagnosed(clbalance, "node1", folder="diagnosis")
    assert (done.rc, states_of(done)) == (0, {"node1": "ok"}), done
    assert said(clbalance, "disks", "node1").endswith("[clbalance: ended after its timeout of 1 s]\n")
    assert said(clbalance, "processes", "node1").endswith("[clbalance: exit code 4: no processes]\n")
    assert "Linux node1" in said(clbalance, "node", "node1")


def test_what_is_too_long_is_cut(clbalance: Command) -> None:  # noqa: F811
    log = home(clbalance, "node1") / "big"
    log.write_text(f"first\n{'x' * 5_000_000}\nlast\n")
    assert diagnosed(clbalance, "node1", logs=str(log)).rc == 0
    text = said(clbalance, "logs", "node1")
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert len(text) < 128 << 10


def test_a_node_that_is_down_is_told_and_the_others_are_read(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].kill()
    done = diagnosed(clbalance, "node[1-2]")
    assert (done.rc, states_of(done)) == (4, {"node1": "failed", "node2": "ok"})
    assert "Connection refused" in said(clbalance, "node", "node1")
    assert "Linux node2" in said(clbalance, "node", "node2")


def test_a_node_that_hangs_is_given_up(clbalance: Command, lab: Lab) -> None:  # noqa: F811
    lab.nodes[0].hang()
    done = clbalance("play", "diagnose", "-w", "node1", "-t", "1", "-u", "1", "--json")
    assert (done.rc, states_of(done)) == (4, {"node1": "failed"})


def test_the_folder_may_be_another_one(clbalance: Command, tmp_path: Path) -> None:  # noqa: F811
    assert diagnosed(clbalance, "node1", folder=str(tmp_path / "case-17")).rc == 0
    assert (tmp_path / "case-17" / "gpus.node1").exists()
