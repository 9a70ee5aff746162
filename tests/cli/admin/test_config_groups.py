"""Results are node sets: for clush, nodeset and clbalance itself; and what `--install` will not do."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command

SETS = {"ok", "failed", "timeout", "cancelled", "unreachable", "notstarted"}
BIN = Path(sys.executable).parent


@pytest.fixture
def configured(lab: Lab, clbalance: Command, tmp_path: Path) -> Path:
    """ClusterShell's folder of this test alone: the lab's groups, and nothing installed."""
    folder = tmp_path / "clustershell"
    folder.mkdir()
    for name in ("groups.conf", "groups", "clush.conf"):
        (folder / name).write_bytes((lab.groups_conf.parent / name).read_bytes())
    return folder


@pytest.fixture
def command(clbalance: Command, configured: Path) -> Command:
    env = {
        **clbalance.env,
        "CLUSTERSHELL_CFGDIR": str(configured),
        "CLBALANCE_GROUPS_CONF": str(configured / "groups.conf"),
    }
    return Command(env=env, folder=clbalance.folder, opened=clbalance.opened)


def tool(command: Command, *argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [str(BIN / argv[0]), *argv[1:]], env=dict(command.env), capture_output=True, text=True, timeout=60, check=False
    )


def nodes(command: Command, group: str) -> str:
    done = tool(command, "nodeset", "-f", group)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_clush_and_nodeset_work_on_what_became_of_the_last_job(lab: Lab, command: Command) -> None:
    assert command("config", "groups", "--install").rc == 0
    assert [nodes(command, f"@clb:{name}") for name in sorted(SETS)] == [""] * len(SETS)
    lab.node("node4").kill()
    text = "case $CLBALANCE_NODE in node1) exit 3;; node2) sleep 600;; esac"
    ran = command("run", "-q", "-w", "node[1-4]", "--pick", "all", "--time-limit", "3", "-t", "2", "-c", text)
    assert ran.rc == 124
    read = {name: nodes(command, f"@clb:{name}") for name in SETS}
    assert {name: found for name, found in read.items() if found} == {
        "ok": "node3", "failed": "node1", "timeout": "node2", "unreachable": "node4"
    }  # fmt: skip
    clush = tool(command, "clush", "-w", "@clb:ok,@clb:failed-1", "-b", "echo", "up")
    assert (clush.returncode, clush.stdout.split()) == (
        0,
        ["---------------", "node[1,3]", "(2)", "---------------", "up"],
    )
    assert command("run", "-q", "-w", "@clb:failed", "--", "true").rc == 0
    assert (nodes(command, "@clb:ok"), nodes(command, "@clb:ok-2"), nodes(command, "@clb:failed")) == (
        "node1",
        "node1",
        "",
    )
    assert nodes(command, "@clb:failed-1") == "node1"


def test_clbalance_reads_them_without_an_installation(command: Command) -> None:
    assert command("run", "-q", "-w", "node3", "--", "true").rc == 0
    assert command("pick", "-w", "@clb:ok").stdout == b"node3\n"
    assert command("pick", "-g", "clb:ok-1").stdout == b"node3\n"
    assert command("pick", "-w", "node[3-4]", "-X", "clb:ok").stdout == b"node4\n"
    for empty in ("@clb:failed", "@clb:failed-1"):
        done = command("pick", "-w", empty)
        assert (done.rc, "the node set is empty" in done.stderr) == (2, True)
    assert "no group `clb:odd`" in command("pick", "-w", "@clb:odd").stderr


def test_without_any_groups_at_all_they_are_there_and_the_rest_is_as_before(alone: Command) -> None:
    assert alone("run", "-q", "--", "true").rc == 0
    done = alone("load", "-w", "@clb:failed")
    assert (done.rc, "the node set is empty" in done.stderr) == (2, True)
    assert "copy groups.conf.example" in alone("load", "-a").stderr
    assert alone("config", "groups", "--format", "plain").lines[0].startswith("ok\t")


def test_what_is_printed_is_what_would_be_installed_in_each_form(command: Command) -> None:
    assert command("run", "-q", "-w", "node3", "--", "true").rc == 0
    text = command("config", "groups").text
    assert yaml.safe_load(text) == {"clb": dict.fromkeys(SETS, "") | {"ok": "node3", "ok-1": "node3"}}
    assert text == (Path(command.env["CLBALANCE_STATE_DIR"]) / "clb.yaml").read_text()
    parsed = json.loads(command("config", "groups", "--json").stdout)
    assert (parsed["schema"], parsed["groups"]["ok-1"]) == (1, "node3")
    assert "ok-1\tnode3" in command("config", "groups", "--format", "plain").lines


def test_that_they_cannot_be_written_costs_no_job_its_end(command: Command) -> None:
    (Path(command.env["CLBALANCE_STATE_DIR"]) / "clb.yaml").mkdir(parents=True)
    Path(command.env["CLBALANCE_STATE_DIR"]).chmod(0o700)
    ran = command("run", "-w", "node1", "--", "sh", "-c", "exit 7")
    assert (ran.rc, "the groups of job 1 are not kept" in ran.stderr) == (7, True)


def test_an_installation_is_a_link_made_once_and_moved_with_the_state(
    command: Command, configured: Path, tmp_path: Path
) -> None:
    link = configured / "groups.d" / "clb.yaml"
    state = Path(command.env["CLBALANCE_STATE_DIR"]) / "clb.yaml"
    done = command("config", "groups", "--install")
    assert (done.rc, done.stdout, link.readlink()) == (0, b"", state)
    assert done.stderr == f"clbalance: {link} now points to {state}; `clush -w @clb:failed` works\n"
    assert command("config", "groups", "--install").stderr == f"clbalance: {link} points to {state} already\n"
    other = tmp_path / "other"
    moved = command("config", "groups", "--install", env={"CLBALANCE_STATE_DIR": str(other)})
    assert (moved.rc, link.readlink(), f"no longer to {state}" in moved.stderr) == (0, other / "clb.yaml", True)
    assert [path.name for path in link.parent.iterdir()] == ["clb.yaml"]


def refused(command: Command, configured: Path, message: str, hint: str) -> None:
    """Nothing is done, and it is said why and what to type."""
    before = {str(path): path.lstat().st_mtime for path in configured.rglob("*")}
    done = command("config", "groups", "--install")
    assert (done.rc != 0, done.stdout) == (True, b"")
    said, _, hinted = done.stderr.partition("\nhint: ")
    assert message in said
    assert hint in hinted
    assert {str(path): path.lstat().st_mtime for path in configured.rglob("*")} == before


def test_a_source_of_that_name_is_left_as_it_is(command: Command, configured: Path) -> None:
    with (configured / "groups.conf").open("a") as conf:
        conf.write("\n[clb]\nmap: echo node1\nlist: echo mine\n")
    refused(command, configured, "a group source `clb` is configured already", "nodeset -LL")
    assert command("pick", "-w", "@clb:mine").stdout == b"node1\n"


def test_a_file_of_that_name_is_left_as_it_is(command: Command, configured: Path) -> None:
    (configured / "groups.d").mkdir()
    (configured / "groups.d" / "clb.yaml").write_text("mine: {all: 'node[1-2]'}\n")
    refused(command, configured, "is there already, and not ours", "move it away")


def test_groups_whose_default_source_would_change_are_left_as_they_are(command: Command, configured: Path) -> None:
    conf = configured / "groups.conf"
    conf.write_text(conf.read_text().replace("default: local\n", "default:\n"))
    refused(command, configured, "does not say which source is the default one", "`default: local`")


def test_where_clustershell_reads_no_folder_of_ours_it_is_said_what_to_type(command: Command, configured: Path) -> None:
    conf = configured / "groups.conf"
    conf.write_text(conf.read_text().replace("autodir: $CFGDIR/groups.d\n", "autodir: /nowhere/at/all\n"))
    refused(command, configured, "reads no folder of yours", "/.config/clustershell")


def test_groups_that_cannot_be_read_are_not_made_worse(command: Command, configured: Path) -> None:
    (configured / "groups.d").mkdir()
    (configured / "groups.d" / "broken.yaml").write_text("[")
    refused(command, configured, "ClusterShell's groups cannot be read", "nodeset -ll")


def test_a_link_of_somebody_elses_making_is_left_as_it_is(command: Command, configured: Path) -> None:
    (configured / "groups.d").mkdir()
    (configured / "groups.d" / "clb.yaml").symlink_to("../team.yaml")
    refused(command, configured, "is there already, and not ours", "move it away")


def test_a_folder_is_reached_through_a_link_only_where_nobody_else_may_have_set_it(
    command: Command, configured: Path, tmp_path: Path
) -> None:
    (tmp_path / "groups.d").mkdir()
    configured_link = configured / "groups.d"
    configured_link.symlink_to(tmp_path / "groups.d")
    configured.chmod(0o1777)
    message = "is a link, and everybody may write to its folder"
    refused(command, configured, message, f"`{tmp_path / 'groups.d'}`")
    assert list((tmp_path / "groups.d").iterdir()) == []
    configured.chmod(0o755)
    assert command("config", "groups", "--install").rc == 0
    assert (configured_link.is_symlink(), (tmp_path / "groups.d" / "clb.yaml").is_symlink()) == (True, True)


def test_what_is_no_file_in_the_state_folder_is_not_read_and_not_linked(command: Command) -> None:
    state = Path(command.env["CLBALANCE_STATE_DIR"])
    state.mkdir(mode=0o700)
    os.mkfifo(state / "clb.yaml")
    done = command("config", "groups", "--install")
    assert (done.rc, "is not a regular file" in done.stderr) == (1, True)
    assert stat.S_ISFIFO((state / "clb.yaml").lstat().st_mode)
    assert command("config", "groups").rc == 0


@pytest.mark.parametrize("content", [b"garbage\n", b"\xff\xfe[x", b"[task.info]\nfanout: many\n"])
@pytest.mark.parametrize("verb", [("load", "-w", "n1"), ("doctor",), ("config", "check"), ("run", "--", "true")])
def test_defaults_of_clustershell_that_cannot_be_read_are_an_error(
    alone: Command, tmp_path: Path, content: bytes, verb: tuple[str, ...]
) -> None:
    (tmp_path / "no-clustershell" / "defaults.conf").write_bytes(content)
    # An interpreter of its own: ClusterShell reads that file when it is imported.
    done = subprocess.run(
        [*ARGV, *verb], env=alone.env, cwd=alone.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    assert "defaults.conf cannot be read" in done.stderr
