"""`clbalance fetch`: files arrive whole as NAME.NODE, once; what cannot be had is told, node by node."""

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from tests.cli.command import Command, ended, eventually, local_ssh
from tests.cli.held_jobs import LATER

from .test_copy import FILES, NO_PYTHON, home_of
from .trees import ODD_NAMES, make_tree, tree_at, unfinished


@pytest.fixture
def target(folder: Path) -> Path:
    made = folder / "collected"
    made.mkdir()
    return made


def results_on(lab: Lab, node: str) -> Path:
    made = make_tree(home_of(lab, node) / "results", FILES | {"of": node.encode()})
    (made / "a.txt").chmod(0o640)
    (made / "sub/b.txt").chmod(0o755)
    (made / "sub/deep").chmod(0o555)
    os.utime(made / "a.txt", ns=(1, 1_234_567_890_123_456_789))
    return made


def fetched(clbalance: Command, *arguments: str) -> dict[str, object]:
    done = clbalance("fetch", "--json", *arguments)
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


def test_a_folder_of_each_node_becomes_name_dot_node_with_modes_and_times(
    lab: Lab, clbalance: Command, target: Path
) -> None:
    sources = {node: results_on(lab, node) for node in ("node1", "node2", "node3")}
    done = clbalance("fetch", "-w", "node[1-3]", "results", "collected")
    assert done.rc == 0, done
    assert sorted(os.listdir(target)) == ["results.node1", "results.node2", "results.node3"]
    for node, source in sources.items():
        assert tree_at(target / f"results.{node}") == tree_at(source)
    assert not unfinished(target)
    assert "fetched 15 files" in done.stderr
    eventually(lambda: not local_ssh(lab))


def test_a_pattern_is_matched_on_the_node(lab: Lab, clbalance: Command, target: Path) -> None:
    make_tree(
        home_of(lab, "node1"), {"logs/a.log": b"a", "logs/b.log": b"b", "logs/.hidden.log": b"", "logs/c.txt": b""}
    )
    make_tree(home_of(lab, "node2"), {"logs/$(id) *.log": b"c"})
    done = clbalance("fetch", "-w", "node[1-2]", "logs/*.log", "collected")
    assert done.rc == 0, done
    assert sorted(os.listdir(target)) == ["$(id) *.log.node2", "a.log.node1", "b.log.node1"]


def test_a_file_whose_name_has_a_bracket_is_found_by_its_name(lab: Lab, clbalance: Command, target: Path) -> None:
    make_tree(home_of(lab, "node1"), {"a[1].log": b"a"})
    assert clbalance("fetch", "-w", "node1", "a[1].log", "collected").rc == 0
    assert (target / "a[1].log.node1").read_bytes() == b"a"


def test_names_of_any_bytes_arrive_as_they_are(lab: Lab, clbalance: Command, target: Path) -> None:
    source = make_tree(home_of(lab, "node1") / "odd", {name: name for name in ODD_NAMES})
    assert clbalance("fetch", "-w", "node1", "odd", "collected").rc == 0
    assert tree_at(target / "odd.node1") == tree_at(source)


def test_what_is_the_same_is_not_fetched_again(lab: Lab, clbalance: Command, target: Path) -> None:
    source = results_on(lab, "node1")
    first = fetched(clbalance, "-w", "node1", "results", "collected")
    (source / "a.txt").write_bytes(b"changed\n")
    again = fetched(clbalance, "-w", "node1", "results", "collected")
    assert (first["sent"], again["sent"], again["same"]) == (5, 1, 4)


def test_with_checksum_a_file_of_the_same_size_and_time_but_another_content_is_fetched(
    lab: Lab, clbalance: Command, target: Path
) -> None:
    results_on(lab, "node1")
    clbalance("fetch", "-w", "node1", "results", "collected")
    here = target / "results.node1/a.txt"
    before = here.stat()
    here.write_bytes(b"eno\n")
    os.utime(here, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetched(clbalance, "-w", "node1", "results", "collected")["sent"] == 0
    assert fetched(clbalance, "-w", "node1", "--checksum", "results", "collected")["sent"] == 1
    assert here.read_bytes() == b"one\n"


def test_a_mode_with_setuid_arrives_without_it(lab: Lab, clbalance: Command, target: Path) -> None:
    make_tree(home_of(lab, "node1"), {"tool": b""})
    (home_of(lab, "node1") / "tool").chmod(0o6755)
    assert clbalance("fetch", "-w", "node1", "tool", "collected").rc == 0
    assert stat.S_IMODE((target / "tool.node1").stat().st_mode) == 0o755


def test_dry_run_and_diff_change_nothing_here(lab: Lab, clbalance: Command, target: Path) -> None:
    results_on(lab, "node1")
    dry = clbalance("fetch", "-w", "node1", "--dry-run", "results", "collected")
    diff = clbalance("fetch", "-w", "node1", "--diff", "results", "collected")
    assert (dry.rc, diff.rc) == (0, 0)
    assert "would fetch 5 files" in dry.stderr
    assert "results.node1/sub/b.txt" in diff.text
    assert not list(target.iterdir())


def test_sync_deletes_here_what_the_node_has_not_and_nothing_beside_it(
    lab: Lab, clbalance: Command, target: Path
) -> None:
    source = results_on(lab, "node1")
    clbalance("fetch", "-w", "node1", "results", "collected")
    make_tree(target, {"results.node1/old/x": b"", "results.node2/kept": b"", "kept": b""})
    (target / "results.node1/link").symlink_to("/etc/passwd")
    document = fetched(clbalance, "-w", "node1", "--sync", "--yes", "results", "collected")
    assert document["deleted"] == 3
    assert tree_at(target / "results.node1") == tree_at(source)
    assert (target / "results.node2/kept").exists()
    assert (target / "kept").exists()
    assert Path("/etc/passwd").exists()


def test_a_link_that_is_named_is_followed_and_links_in_a_folder_are_left_out_and_told(
    lab: Lab, clbalance: Command, target: Path
) -> None:
    source = results_on(lab, "node1")
    (source / "latest").symlink_to("a.txt")
    os.mkfifo(source / "pipe")
    (home_of(lab, "node1") / "current").symlink_to("results")
    done = clbalance("fetch", "-w", "node1", "current", "results/latest", "collected")
    assert done.rc == 0, done
    assert (target / "latest.node1").read_bytes() == b"one\n"
    assert not (target / "latest.node1").is_symlink()
    assert "current/latest: left out: it is a link" in done.stderr
    assert "current/pipe: left out" in done.stderr
    assert not os.path.lexists(target / "current.node1/latest")


def test_what_a_node_has_not_is_told_and_the_rest_is_fetched(lab: Lab, clbalance: Command, target: Path) -> None:
    results_on(lab, "node1")
    lab.node("node2").kill()
    done = clbalance("fetch", "-w", "node[1-3]", "results", "missing", "results/a.txt/below", "collected")
    assert done.rc == 4
    assert "missing: there is no such file or folder" in done.stderr
    assert "Connection refused" in done.stderr
    assert (target / "results.node1/big").exists()


def test_two_sources_of_one_name_are_told_and_not_mixed(lab: Lab, clbalance: Command, target: Path) -> None:
    make_tree(home_of(lab, "node1"), {"a/x": b"first", "b/x": b"second"})
    done = clbalance("fetch", "-w", "node1", "*/x", "collected")
    assert done.rc == 4
    assert "two sources have this name" in done.stderr
    assert (target / "x.node1").read_bytes() == b"first"


def test_a_folder_where_the_file_should_be_is_told_and_left(lab: Lab, clbalance: Command, target: Path) -> None:
    results_on(lab, "node1")
    make_tree(target, {"results.node1/a.txt/is-a-folder": b""})
    (target / "results.node1/big").symlink_to("/etc/hostname")
    (target / "results.node1/sub").symlink_to(target)
    done = clbalance("fetch", "-w", "node1", "results", "collected")
    assert done.rc == 4
    assert (target / "results.node1/big").is_symlink()
    assert sorted(os.listdir(target)) == ["results.node1"]


def test_more_than_max_size_is_refused_before_anything_is_fetched(lab: Lab, clbalance: Command, target: Path) -> None:
    results_on(lab, "node1")
    done = clbalance("fetch", "-w", "node1", "--max-size", "500K", "results", "collected")
    assert done.rc == 4
    assert "--max-size" in done.stderr
    assert not list(target.iterdir())


@pytest.mark.root
def test_root_fetches_into_a_folder_of_others_only_if_told_so(lab: Lab, clbalance: Command, target: Path) -> None:
    results_on(lab, "node1")
    target.chmod(0o1777)
    done = clbalance("fetch", "-w", "node1", "results", "collected")
    assert done.rc == 2
    assert "--into-shared-folder" in done.stderr
    assert clbalance("fetch", "-w", "node1", "--into-shared-folder", "results", "collected").rc == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("results", "collected"), "no nodes named"),
        (("-w", "node1", "results", "missing"), "No such file or directory"),
        (("-w", "node1", "results", "a-file"), "Not a directory"),
        (("-w", "node1", "/", "collected"), "has no name"),
        (("-w", "node1", "..", "collected"), "has no name"),
        (("-w", "node1", "", "collected"), "has no name"),
        (("-w", "node1", "--yes", "results", "collected"), "`--yes` is for `--sync`"),
        (("-w", "node1", "--sync", "results", "collected"), "--yes"),
        (("-w", "node1", "--max-size", "much", "results", "collected"), "is not a size"),
    ],
)
def test_what_makes_no_sense_is_told(
    clbalance: Command, target: Path, arguments: tuple[str, ...], message: str
) -> None:
    (target.parent / "a-file").write_bytes(b"")
    done = clbalance("fetch", *arguments)
    assert done.rc == 2, done
    assert message in done.stderr


@pytest.mark.parametrize("sshd", [{}, {"Subsystem": "other /bin/false"}], ids=["by the subsystem", "without it"])
def test_a_node_without_python_is_fetched_from_by_sftp(
    lab: Lab, clbalance: Command, target: Path, sshd: dict[str, str]
) -> None:
    lab.node("node1").boot(Fault(without=("python3",), sshd_options=sshd))
    source = results_on(lab, "node1")
    for place in source.rglob("*"):
        os.utime(place, (1_234_567_890, 1_234_567_890))
    make_tree(home_of(lab, "node1"), {"logs/a.log": b"a", "logs/b.log": b"b"})
    (home_of(lab, "node1") / "link").symlink_to("logs/a.log")
    done = clbalance("fetch", "-w", "node1", "results", "logs/*.log", "link", "collected")
    assert done.rc == 0, done
    assert tree_at(target / "results.node1") == tree_at(source)
    assert (target / "b.log.node1").read_bytes() == b"b"
    assert (target / "link.node1").read_bytes() == b"a"
    assert fetched(clbalance, "-w", "node1", "results", "collected")["sent"] == 0


def test_a_large_file_by_sftp_arrives_as_it_is(lab: Lab, clbalance: Command, target: Path) -> None:
    lab.node("node1").boot(Fault(without=("python3",)))
    content = os.urandom(40_000_123)
    (home_of(lab, "node1") / "large").write_bytes(content)
    done = clbalance("fetch", "-w", "node1", "large", "collected")
    assert done.rc == 0, done
    assert "Traceback" not in done.stderr
    assert (target / "large.node1").read_bytes() == content


def test_by_sftp_too_what_a_node_has_not_is_told(lab: Lab, clbalance: Command, target: Path) -> None:
    lab.node("node1").boot(NO_PYTHON)
    done = clbalance("fetch", "-w", "node1", "missing", "no/such/*", "collected")
    assert done.rc == 4
    assert "there is no such file or folder" in done.stderr


def test_a_node_that_hangs_ends_in_time_and_the_others_are_not_delayed(
    lab: Lab, clbalance: Command, target: Path
) -> None:
    lab.node("node1").hang()
    source = results_on(lab, "node2")
    done = clbalance("fetch", "-w", "node[1-2]", *LATER, "results", "collected")
    assert done.rc == 4
    assert "node1: " in done.stderr
    assert tree_at(target / "results.node2") == tree_at(source)


def test_ctrl_c_ends_all_and_leaves_no_unfinished_file(lab: Lab, clbalance: Command, target: Path) -> None:
    for node in ("node1", "node2"):
        with (home_of(lab, node) / "large").open("wb") as file:
            file.truncate(20 << 30)  # longer than the test waits; it has no blocks on disk
    child = clbalance.start("fetch", "-w", "node[1-2]", "-q", "large", "collected")
    eventually(lambda: len(unfinished(target)) == 2)
    child.send_signal(signal.SIGINT)
    assert ended(child) == 130
    eventually(lambda: not unfinished(target) and not local_ssh(lab))


def test_a_terminal_shows_the_progress_and_a_pipe_does_not(lab: Lab, clbalance: Command, target: Path) -> None:
    with (home_of(lab, "node1") / "large").open("wb") as file:
        file.truncate(2 << 30)
    terminal = clbalance.on_terminal("fetch", "-w", "node1", "large", "collected", columns=120)
    terminal.read_until(b"/s, ETA ")
    assert b"0/1 nodes done, " in terminal.raw
    assert b" of 2.0G, " in terminal.raw
    terminal.type(b"\x03")
    assert terminal.end() == 130
