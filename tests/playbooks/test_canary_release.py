"""`canary-release`: a release is whole before it is used, and a node where it fails has the one before again."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.command import Command, Done
from tests.playbooks.support import given, home, nodes_of, quick, refusal, states_of

NODES = ("node1", "node2", "node3", "node4")
RESTART = 'readlink current >> "$HOME/restarts"'
HEALTHY = '[ ! -e "$HOME/app/current/bad" ] || { echo it is bad; exit 2; }'


def release(clbalance: Command, name: str, **files: str) -> Path:
    """A release's folder here."""
    made = clbalance.folder / name
    made.mkdir(exist_ok=True)
    for file, text in files.items():
        (made / file).write_text(text)
        os.utime(made / file, ns=(1_700_000_000 * 10**9,) * 2)
    return made


def play(clbalance: Command, source: Path | str, nodes: str = "node[1-4]", **values: str) -> Done:
    values = {"release": str(source), "root": "app", "restart": RESTART, "healthy": HEALTHY, **values}
    return clbalance("play", quick(clbalance, "canary-release"), "-w", nodes, "--json", *given(**values))


def current(clbalance: Command, node: str) -> str:
    link = home(clbalance, node) / "app" / "current"
    return os.readlink(link) if link.is_symlink() else ""


def restarts(clbalance: Command, node: str) -> list[str]:
    told = home(clbalance, node) / "restarts"
    return told.read_text().split() if told.exists() else []


def test_all_nodes_use_the_release_and_a_second_run_does_nothing(clbalance: Command) -> None:
    one = release(clbalance, "app-1", version="1")
    done = play(clbalance, one)
    assert (done.rc, states_of(done)) == (0, dict.fromkeys(states_of(done), "ok")), done
    for node in NODES:
        assert current(clbalance, node) == "releases/app-1"
        assert (home(clbalance, node) / "app/current/version").read_text() == "1"
    inode = (home(clbalance, "node1") / "app/current/version").stat().st_ino
    assert play(clbalance, f"{one}/").rc == 0
    assert [restarts(clbalance, node) for node in NODES] == [["releases/app-1"]] * 4
    assert (home(clbalance, "node1") / "app/current/version").stat().st_ino == inode
    assert {one.name for one in (home(clbalance, "node1") / "app/releases").iterdir()} == {"app-1"}


def test_a_canary_that_fails_is_switched_back_and_no_other_node_is_touched(clbalance: Command) -> None:
    assert play(clbalance, release(clbalance, "app-1", version="1")).rc == 0
    done = play(clbalance, release(clbalance, "app-2", version="2", bad=""))
    assert done.rc == 4
    states = states_of(done)
    (canary,) = (node for node, state in states.items() if state == "failed")
    assert canary == next(iter(states))
    assert set(states.values()) == {"failed", "notstarted"}
    assert "it is bad" in nodes_of(done)[canary]["reason"]
    assert nodes_of(done)[canary]["rolled_back"] is True
    assert [current(clbalance, node) for node in NODES] == ["releases/app-1"] * 4
    assert restarts(clbalance, canary) == ["releases/app-1", "releases/app-2", "releases/app-1"]
    assert [restarts(clbalance, node) for node in NODES if node != canary] == [["releases/app-1"]] * 3


def test_a_first_release_that_fails_leaves_no_link(clbalance: Command) -> None:
    done = play(clbalance, release(clbalance, "app-1", bad=""), restart="")
    assert (done.rc, set(states_of(done).values())) == (4, {"failed", "notstarted"})
    assert [current(clbalance, node) for node in NODES] == [""] * 4


def test_an_older_release_is_used_again_by_releasing_it_again(clbalance: Command) -> None:
    one, two = release(clbalance, "app-1", version="1"), release(clbalance, "app-2", version="2")
    for source in (one, two, one):
        assert play(clbalance, source, "node1").rc == 0
    assert restarts(clbalance, "node1") == ["releases/app-1", "releases/app-2", "releases/app-1"]
    assert (home(clbalance, "node1") / "app/current/version").read_text() == "1"


def test_other_content_under_the_name_in_use_is_refused_and_changes_nothing(clbalance: Command) -> None:
    assert play(clbalance, release(clbalance, "app-1", version="1"), "node1").rc == 0
    done = play(clbalance, release(clbalance, "app-1", version="one", more=""), "node1")
    assert done.rc == 4
    assert "app-1 is in use, and is not what was sent: give the release another name" in done.stderr
    root = home(clbalance, "node1") / "app"
    assert (root / "current/version").read_text() == "1"
    assert restarts(clbalance, "node1") == ["releases/app-1"]
    assert sorted(one.name for one in root.rglob("*")) == ["app-1", "current", "releases", "version"]


def test_the_same_name_with_other_content_replaces_a_release_that_is_not_in_use(clbalance: Command) -> None:
    first = release(clbalance, "app-1", version="1", gone="")
    assert play(clbalance, first, "node1").rc == 0
    assert play(clbalance, release(clbalance, "app-2"), "node1").rc == 0
    (first / "gone").unlink()
    release(clbalance, "app-1", version="one", more="")
    assert play(clbalance, first, "node1").rc == 0
    found = home(clbalance, "node1") / "app/current"
    assert sorted(one.name for one in found.iterdir()) == ["more", "version"]
    assert (found / "version").read_text() == "one"


@pytest.mark.parametrize("root", ["", "/", "//", ".", "..", "./app", "../app", "app/../..", "/srv/./app", "/srv/.."])
def test_a_root_that_could_be_another_folder_is_refused(tmp_path: Path, root: str) -> None:
    assert "no folder for releases" in refusal("canary-release", "look", tmp_path, root=root, release="/tmp/app-1")


@pytest.mark.parametrize("name", ["", "/", "..", "/tmp/.git", "/tmp/-rf", "a/.."])
def test_a_name_that_could_be_another_folder_is_refused(tmp_path: Path, name: str) -> None:
    assert "no name for a release" in refusal("canary-release", "look", tmp_path, root="/srv/app", release=name)


def test_usual_values_pass_these_checks(tmp_path: Path) -> None:
    for root, name in (("/srv/app", "/tmp/app-1.4"), ("/srv/app/", "/tmp/app-1.4/"), ("app", "app-1"), ("app", "a b")):
        assert refusal("canary-release", "look", tmp_path, root=root, release=name) == ""


def test_what_is_no_release_is_refused_before_anything_is_switched(clbalance: Command) -> None:
    (clbalance.folder / "file").touch()
    for name in ("", f"{clbalance.folder}/..", "app\n1", f"{clbalance.folder}/nowhere", f"{clbalance.folder}/file"):
        done = play(clbalance, name, "node1")
        assert done.rc in {2, 4}, (name, done)
        assert current(clbalance, "node1") == "", name


def test_a_link_that_is_a_folder_is_refused(clbalance: Command) -> None:
    (home(clbalance, "node1") / "app" / "current").mkdir(parents=True)
    done = play(clbalance, release(clbalance, "app-1"), "node1")
    assert done.rc == 4
    assert "current is no link" in json.loads(done.stdout)["nodes"][0]["reason"]
