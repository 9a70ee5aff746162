"""What other users see of a job in `ps`: on the node and in our ssh, only the job's own program has its words."""

import os
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, local_ssh
from tests.cli.held_jobs import held, let_go

SECRET = "s3cr3t-0f-th3-j0b"


def command_line(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile
        return []


@pytest.mark.parametrize(
    "options",
    [(), ("--login",), ("--pick", "2"), ("--array", "1-3"), ("--retry", "1"), ("--cpus", "1", "--limit-mem", "1G")],
    ids=lambda options: " ".join(options) or "plain",
)
def test_no_process_but_the_jobs_own_has_its_words_or_its_environment(
    lab: Lab, clbalance: Command, options: tuple[str, ...]
) -> None:
    text = f"echo $TOKEN {SECRET}-text; touch up; {held('exit 0')}"
    own = Command(env={**clbalance.env, "TOKEN": f"{SECRET}-env"}, folder=clbalance.folder, opened=clbalance.opened)
    child = own.start("run", "-w", "node[1-2]", "--env", "TOKEN", *options, "-c", text)
    seen: set[tuple[bytes, ...]] = set()
    looks = 0
    while child.poll() is None:
        is_up = (clbalance.folder / "up").exists()  # asked before the look: so the job's shell is seen
        pids = [*local_ssh(lab), *(pid for node in lab.nodes for pid in node.processes())]
        seen |= {tuple(command_line(pid)) for pid in pids}
        looks += 1
        if is_up and looks > 20:
            let_go(clbalance)
    assert child.returncode == 0
    telling = {words for words in seen if any(os.fsencode(SECRET) in word for word in words)}
    assert telling, "the job's own shell was seen"
    assert not [words for words in telling if any(os.fsencode(f"{SECRET}-env") in word for word in words)]
    for words in telling:
        assert words[words.index(os.fsencode(text)) - 1] == b"-c", words
        assert Path(os.fsdecode(words[0])).name.lstrip("-") in {"sh", "bash", "dash"}, words
