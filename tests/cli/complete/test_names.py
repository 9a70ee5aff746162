"""What ordinary commands keep for completion: names of groups, labels and taints, in one small private file."""

import stat
from pathlib import Path

from clbalance.store import result_groups, state
from tests.cli.command import Command

SETTINGS = """
[[nodes]]
set = "node[1-2]"
labels = { rack = "r1", model = "A100 80GB" }
taints = ["maintenance"]
"""


def offered(command: Command, *words: str) -> list[str]:
    done = command(*words, env={"_CLBALANCE_COMPLETE": "words"})
    return [line.split("\t")[0] for line in done.lines[1:]]


def kept(command: Command) -> Path:
    return Path(command.env["CLBALANCE_STATE_DIR"], "completion-names")


def test_after_a_first_command_its_nodes_groups_labels_and_taints_are_offered(clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text(SETTINGS)
    assert offered(clbalance, "load", "-w", "") == []
    assert clbalance("load", "-w", "node[1-3]").rc == 0
    assert offered(clbalance, "load", "-w", "") == ["node1", "node2", "node3"]
    assert clbalance("load", "-a").rc == 0
    assert offered(clbalance, "load", "-g", "gpu") == ["gpu-nodes"]
    assert offered(clbalance, "pick", "--prefer", "") == ["rack=r1"]
    assert offered(clbalance, "pick", "--tolerate", "") == ["maintenance"]
    assert stat.S_IMODE(kept(clbalance).stat().st_mode) == 0o600


def test_only_names_of_groups_labels_and_taints_are_kept_and_written_when_they_change(clbalance: Command) -> None:
    (clbalance.folder / "clbalance.toml").write_text(SETTINGS)
    clbalance("load", "-a")
    lines = kept(clbalance).read_text().splitlines()
    assert {line.split()[0] for line in lines} == {"asked", "default", "group", "label", "taint"}
    assert "default local" in lines
    first = kept(clbalance).stat()
    clbalance("load", "-g", "gpu-nodes")
    clbalance("jobs", "-a", "--all-users")
    assert kept(clbalance).stat().st_ino == first.st_ino
    (clbalance.folder / "clbalance.toml").write_text("")
    clbalance("load", "-w", "node1")
    assert {line.split()[0] for line in kept(clbalance).read_text().splitlines()} == {"asked", "default", "group"}


def test_a_list_of_groups_that_fails_is_asked_for_once_and_said_by_nobody(clbalance: Command, tmp_path: Path) -> None:
    conf = tmp_path / "groups.conf"
    conf.write_text(
        f"[Main]\ndefault: odd\n[odd]\nmap: echo node1\nall: echo node1\nlist: echo x >> {tmp_path}/asked; false\n"
    )
    for nodes in (["-w", "node1"], ["-a"], ["-a"]):
        done = clbalance("load", "--groups-conf", str(conf), *nodes)
        assert (done.rc, done.stderr) == (0, "")
        assert (tmp_path / "asked").exists() == (nodes == ["-a"])
    assert (tmp_path / "asked").read_text() == "x\n"
    assert offered(clbalance, "load", "-g", "") == []


def test_the_files_of_the_store_have_the_names_by_which_completion_reads_them() -> None:
    from clbalance.cli.complete import known

    assert known.DATABASE == state.DATABASE
    assert (known.RESULTS, known.RESULT_FILE) == (result_groups.SOURCE, result_groups.FILE)


def test_the_last_jobs_results_are_offered_as_groups(clbalance: Command) -> None:
    clbalance("run", "-w", "node1", "--name", "sweep", "--", "true")
    assert "@clb:ok" in offered(clbalance, "load", "-w", "@clb:o")
    assert offered(clbalance, "logs", "sw") == ["sweep"]
    assert offered(clbalance, "logs", "1") == ["1"]


def test_without_a_state_folder_a_command_goes_on_as_before(alone: Command) -> None:
    folder = Path(alone.env["CLBALANCE_STATE_DIR"])
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    done = alone("load")
    assert done.rc == 0
    assert not kept(alone).exists()
