"""What a job finds around it: folder, environment, umask, standard input, login shell."""

import hashlib
import os
import socket
import subprocess
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import ARGV, Command

ON = ("-q", "-w", "node1")
MIB = 1 << 20


def test_a_job_knows_itself(clbalance: Command, folder: Path) -> None:
    text = "for name in JOB_ID JOB_NAME NODELIST NNODES NODEID NODE SUBMIT_HOST SUBMIT_DIR RESTART_COUNT PREV_NODES; do"
    text += " eval echo $name=\\$CLBALANCE_$name; done; test -d $CLBALANCE_JOB_DIR && echo found"
    done = clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--no-label", "-b", "--name", "me", "-c", text)
    second = done.text.split("\nnode2\n")[1].splitlines()[1:]
    assert second == [
        "JOB_ID=1", "JOB_NAME=me", "NODELIST=node[1-2]", "NNODES=2", "NODEID=1", "NODE=node2",
        f"SUBMIT_HOST={socket.gethostname()}", f"SUBMIT_DIR={folder}", "RESTART_COUNT=0", "PREV_NODES=", "found",
    ]  # fmt: skip
    assert "SLURM" not in clbalance("run", *ON, "--", "env").text


def test_jobs_are_numbered(clbalance: Command) -> None:
    numbers = [clbalance("run", *ON, "-c", "echo $CLBALANCE_JOB_ID").text for _ in range(2)]
    assert numbers == ["1\n", "2\n"]


def test_variables_are_set_and_passed_on(clbalance: Command) -> None:
    nasty = "a b'\"$(id)\nline"
    done = clbalance(
        "run", *ON, "--env", f"FIRST={nasty}", "--env", "SECOND", "--env", "EMPTY=", "--env", "OVER=1=2",
        "-c", 'printf "<%s>" "$FIRST" "$SECOND" "${EMPTY-unset}" "$OVER" "${LANGUAGE-unset}"',
        env={"SECOND": "from here", "LANGUAGE": "de"},
    )  # fmt: skip
    assert done.text == f"<{nasty}><from here><><1=2><unset>"


def test_ours_cannot_be_overwritten(clbalance: Command) -> None:
    done = clbalance("run", *ON, "--env", "CLBALANCE_NODE=elsewhere", "-c", "echo $CLBALANCE_NODE")
    assert done.text == "node1\n"


def test_it_works_in_the_folder_of_submission(clbalance: Command, folder: Path) -> None:
    assert clbalance("run", *ON, "--", "pwd").text == f"{folder}\n"


def test_it_works_in_the_folder_that_is_named(clbalance: Command, tmp_path: Path) -> None:
    assert clbalance("run", *ON, "--chdir", str(tmp_path), "-c", "pwd; echo $PWD").lines == [str(tmp_path)] * 2


def test_a_relative_folder_is_meant_from_here(clbalance: Command, folder: Path) -> None:
    (folder / "below").mkdir()
    assert clbalance("run", *ON, "--chdir", "below", "--", "pwd").text == f"{folder}/below\n"


def test_a_named_folder_that_the_node_lacks_is_refused(clbalance: Command) -> None:
    done = clbalance("run", "-w", "node1", "--chdir", "/no/such/folder", "--", "true")
    assert done.rc == 125
    assert "not started: /no/such/folder: No such file or directory" in done.stderr


def test_a_folder_of_submission_that_the_node_lacks_is_replaced_by_home_with_a_warning(
    lab: Lab, clbalance: Command, folder: Path
) -> None:
    gone = folder / "gone"
    gone.mkdir()
    text = f"rmdir '{gone}'; exec \"$@\""
    done = subprocess.run(
        ["sh", "-c", text, "sh", *ARGV, "run", "-w", "node1", "--", "pwd"],
        capture_output=True, env={**clbalance.env, "PWD": str(gone)}, cwd=gone, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    assert done.stdout.decode().strip() == str(lab.node("node1").folder.home("root"))
    assert b"warning: node1: " in done.stderr
    assert b"running in" in done.stderr


@pytest.mark.parametrize("umask", ["027", "077"])
def test_the_umask_is_kept(clbalance: Command, umask: str) -> None:
    done = subprocess.run(
        ["sh", "-c", f'umask {umask}; exec "$@"', "sh", *ARGV, "run", *ON, "-c", "umask"],
        capture_output=True, env=dict(clbalance.env), cwd=clbalance.folder, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.decode().strip() == f"0{umask}"


def test_standard_input_is_empty_unless_given(clbalance: Command) -> None:
    assert clbalance("run", *ON, "-c", "cat; echo done").text == "done\n"


def test_standard_input_is_a_file_of_ours(clbalance: Command, folder: Path) -> None:
    content = os.urandom(20 * MIB)
    (folder / "data").write_bytes(content)
    done = clbalance("run", "-q", "-w", "node[1-2]", "--pick", "2", "--stdin", "data", "--no-label", "--", "sha256sum")
    assert done.text.split() == [hashlib.sha256(content).hexdigest(), "-"] * 2


def test_a_login_shell_reads_its_profile(lab: Lab, clbalance: Command) -> None:
    home = lab.node("node1").folder.home("root")
    (home / ".profile").write_text("echo chatter; PROFILE=read; export PROFILE; PATH=$HOME/own:$PATH\n")
    (home / "own").mkdir()
    (home / "own" / "mine").write_text("#!/bin/sh\necho mine\n")
    (home / "own" / "mine").chmod(0o755)
    assert clbalance("run", *ON, "-c", "echo ${PROFILE-unread}").text == "unread\n"
    assert clbalance("run", *ON, "--login", "-c", "echo $PROFILE").text == "chatter\nread\n"
    assert clbalance("run", *ON, "--login", "--", "mine").text == "chatter\nmine\n"


def test_the_script_is_found_by_its_own_name_in_messages(clbalance: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("echo $CLBALANCE_JOB_NAME\n")
    assert clbalance("run", *ON, "./job.sh").text == "job.sh\n"


def test_little_is_left_on_the_node_and_no_input(lab: Lab, clbalance: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("echo hi\n")
    clbalance("run", *ON, "job.sh")
    jobs = lab.node("node1").folder.var / "clbalance-0" / "jobs"
    left = [{path.name for path in job.iterdir()} for job in jobs.iterdir()]
    assert left == [{"fate", "exit", "stdout", "stderr"}]
