"""Files of steps that cannot be had or written: the step fails on that node with its reason, and nothing is torn."""

import json
import os

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.play.test_play import book, home
from tests.faults.mounts import fill, mounted

_OLD, _NEW = "old\n", "new\n" * 100_000


def reason_of(clbalance: Command, *steps: str) -> str:
    """Why node1 has failed."""
    text = "name: files\nsteps:\n" + "".join(f"  - {step}\n" for step in steps)
    done = clbalance("play", book(clbalance, text), "-w", "node1", "--json")
    (node,) = json.loads(done.stdout)["nodes"]
    assert (done.rc, node["state"]) == (4, "failed"), done.stderr
    return str(node["reason"])


def test_a_file_that_has_vanished_since_the_run_began(clbalance: Command) -> None:
    (clbalance.folder / "it").write_text(_NEW)
    reason = reason_of(clbalance, f"notify: {{run: [rm, {clbalance.folder}/it]}}", "copy: {src: it, dest: it}")
    assert "there is no such file" in reason
    assert not (home(clbalance, "node1") / "it").exists()


def test_a_disk_that_is_full_keeps_the_old_file(clbalance: Command, lab: Lab) -> None:
    (clbalance.folder / "it").write_text(_NEW)
    node = lab.nodes[0]
    with mounted(lab, node, "size=1m") as disk:
        (disk / "it").write_text(_OLD)
        fill(disk)
        reason = reason_of(clbalance, f"copy: {{src: it, dest: {node.folder.var}/it, into_shared_folder: true}}")
        assert "no space left" in reason
        assert (disk / "it").read_text() == _OLD


@pytest.mark.root
def test_without_permission_on_the_node(clbalance: Command, lab: Lab) -> None:
    if "alice" not in {one.name for one in lab.record.spec.users}:
        pytest.skip("needs another user on the nodes")
    (clbalance.folder / "it").write_text(_NEW)
    target = home(clbalance, "node1") / "it"
    target.write_text(_OLD)
    reason = reason_of(clbalance, f"copy: {{src: it, dest: {target}}}\n    user: alice")
    assert "no permission" in reason
    assert target.read_text() == _OLD


def test_a_folder_on_the_node_that_leads_elsewhere_by_a_link(clbalance: Command) -> None:
    (clbalance.folder / "conf" / "sub").mkdir(parents=True)
    (clbalance.folder / "conf" / "sub" / "it").write_text(_NEW)
    elsewhere = home(clbalance, "node1") / "elsewhere"
    elsewhere.mkdir()
    (home(clbalance, "node1") / "conf").mkdir()
    (home(clbalance, "node1") / "conf" / "sub").symlink_to(elsewhere)
    assert reason_of(clbalance, "copy: {src: conf, dest: .}")
    assert list(elsewhere.iterdir()) == []


def test_nothing_to_fetch_on_the_node(clbalance: Command) -> None:
    assert "nowhere" in reason_of(clbalance, "fetch: {src: nowhere, dest: .}")


def test_a_link_in_a_folder_that_is_fetched_is_left_out_and_told(clbalance: Command) -> None:
    folder = home(clbalance, "node1") / "results"
    folder.mkdir()
    (folder / "it").write_text(_OLD)
    (folder / "out").symlink_to("/etc/passwd")
    (clbalance.folder / "here").mkdir()
    done = clbalance("play", book(clbalance, "steps: [{fetch: {src: results, dest: here}}]"), "-w", "node1", "-v")
    assert done.rc == 0, done.stderr
    assert "1 file fetched; " in done.stderr
    assert "out" in done.stderr.partition("1 file fetched; ")[2]
    assert [one.name for one in (clbalance.folder / "here" / "results.node1").iterdir()] == ["it"]


def test_what_is_no_file_in_a_folder_that_is_copied_is_left_out_and_told(clbalance: Command) -> None:
    (clbalance.folder / "conf").mkdir()
    (clbalance.folder / "conf" / "it").write_text(_NEW)
    os.mkfifo(clbalance.folder / "conf" / "pipe")
    done = clbalance("play", book(clbalance, "steps: [{copy: {src: conf, dest: .}}]"), "-w", "node1", "-v")
    assert done.rc == 0, done.stderr
    assert "1 file sent; conf/pipe: left out: it is a " in done.stderr
    assert [one.name for one in (home(clbalance, "node1") / "conf").iterdir()] == ["it"]
