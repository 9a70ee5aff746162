"""`push-config`: a configuration is checked before and after, every version is kept, and any can be put back."""

import os
from pathlib import Path

import pytest

from tests.cli.command import Command, Done
from tests.playbooks.support import given, home, nodes_of, quick, refusal, states_of

NODES = ("node1", "node2", "node3", "node4")
CHECK = "grep -q valid main.conf"
RELOAD = 'cat "$HOME/conf/main.conf" >> "$HOME/reloads"'
FORMS = {"json": ["--json"], "dry-run": ["--dry-run"]}
HEALTHY = 'if grep sick "$HOME/conf/main.conf"; then exit 2; fi'


def config(clbalance: Command, text: str, **more: str) -> str:
    """The folder of a configuration here, with this text in `main.conf`."""
    made = clbalance.folder / "conf"
    made.mkdir(exist_ok=True)
    for name, content in {"main.conf": f"{text}\n", **more}.items():
        (made / name).write_text(content)
        os.utime(made / name, ns=(1_700_000_000 * 10**9,) * 2)
    return str(made)


def push(clbalance: Command, nodes: str, version: str, source: str = "", *, form: str = "json", **more: str) -> Done:
    values = {"dest": "conf", "keep": "kept", "version": version, "source": source}
    programs = {"check": CHECK, "reload": RELOAD, "healthy": HEALTHY}
    call = ["play", quick(clbalance, "push-config"), "-w", nodes]
    return clbalance(*call, *given(**{**programs, **values, **more}), *FORMS[form])


def in_use(clbalance: Command, node: str) -> str:
    return (home(clbalance, node) / "conf" / "main.conf").read_text().strip()


def reloads(clbalance: Command, node: str) -> list[str]:
    told = home(clbalance, node) / "reloads"
    return told.read_text().splitlines() if told.exists() else []


def kept(clbalance: Command, node: str) -> list[str]:
    return sorted(one.name for one in (home(clbalance, node) / "kept" / "conf").iterdir())


@pytest.fixture
def at_first(clbalance: Command) -> None:
    """What was there before anything was pushed."""
    for node in NODES:
        folder = home(clbalance, node) / "conf"
        folder.mkdir()
        (folder / "main.conf").write_text("by hand\n")


@pytest.mark.usefixtures("at_first")
def test_nodes_get_the_version_keep_what_was_there_and_a_second_run_does_nothing(clbalance: Command) -> None:
    source = config(clbalance, "valid 1")
    for path in (source, f"{source}/"):
        done = push(clbalance, "node[1-4]", "v1", path)
        assert (done.rc, set(states_of(done).values())) == (0, {"ok"}), done
    for node in NODES:
        assert in_use(clbalance, node) == "valid 1"
        assert reloads(clbalance, node) == ["valid 1"]
        assert kept(clbalance, node) == ["original", "v1"]


@pytest.mark.usefixtures("at_first")
def test_any_version_is_put_back_without_its_source(clbalance: Command) -> None:
    for version in ("1", "2", "3"):
        assert push(clbalance, "node1", f"v{version}", config(clbalance, f"valid {version}")).rc == 0
    for version, text in (("v1", "valid 1"), ("v3", "valid 3"), ("v2", "valid 2")):
        assert push(clbalance, "node1", version).rc == 0
        assert in_use(clbalance, "node1") == text
    assert push(clbalance, "node1", "original").rc == 4, "it is checked as all others are"
    assert push(clbalance, "node1", "original", check="test -e main.conf").rc == 0
    assert in_use(clbalance, "node1") == "by hand"


@pytest.mark.usefixtures("at_first")
def test_a_node_where_it_is_sick_has_the_version_before_and_no_other_node_is_touched(clbalance: Command) -> None:
    for version, before in (("v1", "by hand"), ("v2", "valid 1")):
        done = push(clbalance, "node[1-4]", version, config(clbalance, "valid sick"))
        states = states_of(done)
        assert done.rc == 4
        canary = next(iter(states))
        assert (states.pop(canary), set(states.values())) == ("failed", {"notstarted"})
        assert nodes_of(done)[canary]["rolled_back"] is True
        assert "health: sick: exit code 2: valid sick" in nodes_of(done)[canary]["reason"]
        assert [in_use(clbalance, node) for node in NODES] == [before] * 4
        assert reloads(clbalance, canary)[-2:] == ["valid sick", before]
        assert push(clbalance, "node[1-4]", "good", config(clbalance, "valid 1")).rc == 0


@pytest.mark.usefixtures("at_first")
def test_a_version_that_its_check_refuses_changes_nothing_and_its_name_is_free(clbalance: Command) -> None:
    done = push(clbalance, "node1", "v1", config(clbalance, "wrong"))
    assert (done.rc, in_use(clbalance, "node1"), reloads(clbalance, "node1")) == (4, "by hand", [])
    assert not (home(clbalance, "node1") / "conf").is_symlink()
    assert kept(clbalance, "node1") == []
    assert push(clbalance, "node1", "v1", config(clbalance, "valid 1")).rc == 0


@pytest.mark.usefixtures("at_first")
def test_a_version_never_changes(clbalance: Command) -> None:
    assert push(clbalance, "node1", "v1", config(clbalance, "valid 1")).rc == 0
    done = push(clbalance, "node1", "v1", config(clbalance, "valid one", more="x"))
    assert done.rc == 4
    assert "is not what was sent: give another version" in done.stderr
    assert (in_use(clbalance, "node1"), kept(clbalance, "node1")) == ("valid 1", ["original", "v1"])


def test_a_version_that_is_not_kept_is_told_with_those_that_are(clbalance: Command) -> None:
    assert push(clbalance, "node1", "v1", config(clbalance, "valid 1")).rc == 0
    done = push(clbalance, "node1", "v2")
    assert done.rc == 4
    assert "version v2 is not here; there are: v1" in done.stderr


def test_a_dry_run_of_the_way_back_asks_for_no_source(clbalance: Command) -> None:
    done = push(clbalance, "node1", "v1", form="dry-run")
    assert done.rc == 0, done
    assert "  copy: skipped: not vars.source" in done.text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dest", "/", "no folder of one configuration"), ("dest", "/etc", "no folder of one configuration"),
        ("dest", "/etc/", "no folder of one configuration"), ("dest", "//", "empty part"), ("dest", ".", ". or .."),
        ("dest", "conf/../..", ". or .."), ("dest", "./conf", ". or .."), ("dest", "", "empty part"),
        ("keep", "..", ". or .."), ("keep", "", "empty part"), ("keep", "a//b", "empty part"),
        ("keep", "/", "outside of"), ("keep", "/etc/app/kept", "outside of"),
        ("version", "..", "a version has"), ("version", "a/b", "a version has"), ("version", "", "VAR_version"),
        ("version", "$(touch x)", "a version has"), ("version", "a\nb", "a version has"),
        ("version", "original", "original is what was there"), ("source", "/", "no name"), ("source", ".", "no name"),
        ("source", "/tmp/.", "no name"),
    ],
)  # fmt: skip
def test_a_value_that_could_lead_elsewhere_is_refused(tmp_path: Path, name: str, value: str, said: str) -> None:
    values = {"dest": "/etc/app", "keep": "kept", "version": "v1", "source": "/tmp/conf", name: value}
    assert said in refusal("push-config", "look", tmp_path, **values)


def test_usual_values_pass_these_checks(tmp_path: Path) -> None:
    for dest in ("/etc/app", "/etc/app/", "conf", "conf/app"):
        values = {"dest": dest, "version": "2026-12-01", "source": "/tmp/conf/"}
        assert refusal("push-config", "look", tmp_path, **values) == ""


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_no_folder_of_ours_is_refused(clbalance: Command, kind: str) -> None:
    there = home(clbalance, "node1") / "conf"
    if kind == "link":
        there.symlink_to("elsewhere")
    else:
        there.write_text("x")
    done = push(clbalance, "node1", "v1", config(clbalance, "valid 1"))
    assert done.rc == 4
    assert ("is a link to something else: elsewhere" if kind == "link" else "is no folder") in done.stderr
    assert Path(there).is_symlink() is (kind == "link")
