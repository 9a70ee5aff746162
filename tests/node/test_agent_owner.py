"""Root's agent becomes the agent of a job's owner at once and for good (docs/design/administrator.md)."""

import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from .agent_client import AgentClient, compiled, new_job, plain

pytestmark = pytest.mark.root

ALICE, BOB = 2001, 2002
PYTHON = "/usr/bin/python3"  # our own may lie where they cannot look


@pytest.fixture
def node_dir(tmp_path: Path) -> Path:
    """A node folder as everybody may use it."""
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    shared = tmp_path / "var"
    shared.mkdir()
    shared.chmod(0o1777)
    return shared


def as_owner(node_dir: Path, owner: int, **popen: object) -> AgentClient:
    return AgentClient(node_dir, [*plain(PYTHON), str(owner)], env={"SECRET": "of root", "HOME": "/root"}, **popen)


def run_as(uid: int, text: str, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    argv = [PYTHON, "-I", "-S", "-c", text, *map(str, arguments)]
    return subprocess.run(argv, user=uid, group=uid, extra_groups=[], capture_output=True, check=False)


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines)}


def test_nothing_of_root_is_left(node_dir: Path) -> None:
    with as_owner(node_dir, ALICE) as agent:
        assert agent.until("hello")["uid"] == ALICE
        pid = agent.process.pid
        now = status(pid)
        assert (now["Uid"], now["Gid"], now["Groups"]) == ("2001 2001 2001 2001", "2001 2001 2001 2001", "")
        assert {now[f"Cap{kind}"].strip("0") for kind in ("Eff", "Prm", "Amb")} == {""}
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert {int(fd.name) for fd in Path(f"/proc/{pid}/fd").iterdir()} <= {0, 1, 2}


def test_its_environment_is_the_owners(tmp_path: Path) -> None:
    uid = pwd.getpwnam("nobody").pw_uid
    text = """\
import json, os, sys
sys.path.insert(0, sys.argv[1])
from clbalance.node.agent.owner import become
become(int(sys.argv[2]))
print(json.dumps(dict(os.environ)))
"""
    argv = [sys.executable, "-I", "-S", "-c", text, str(compiled(sys.executable)), str(uid)]
    mine = {"PATH": "/bin", "CLBALANCE_NODE_DIR": "/var", "SECRET": "of root", "HOME": "/root", "SSH_AUTH_SOCK": "/x"}
    seen = subprocess.run(argv, env=mine, capture_output=True, check=True)
    kept = {name: mine[name] for name in ("PATH", "CLBALANCE_NODE_DIR")}
    home = pwd.getpwuid(uid).pw_dir
    assert json.loads(seen.stdout) == {**kept, "HOME": home, "USER": "nobody", "LOGNAME": "nobody"}


def test_its_files_are_the_owners(node_dir: Path) -> None:
    with as_owner(node_dir, ALICE) as agent:
        agent.ask("claim", new_job())
        agent.until("claimed")
    made = [*node_dir.rglob("*")]
    assert {path.name for path in made} >= {f"clbalance-{ALICE}", "birth", "jobs"}
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in made} == {(ALICE, ALICE)}


def test_an_owner_without_an_account_is_no_hindrance(node_dir: Path) -> None:
    with as_owner(node_dir, 29_999) as agent:
        assert agent.until("hello")["uid"] == 29_999
        assert status(agent.process.pid)["Gid"] == "29999 29999 29999 29999"


def test_who_is_not_root_becomes_nobody_else(node_dir: Path) -> None:
    with as_owner(node_dir, ALICE, user=BOB, group=BOB, extra_groups=[]) as agent:
        assert agent.until("hello")["uid"] == BOB
        assert status(agent.process.pid)["Uid"] == "2002 2002 2002 2002"


@pytest.mark.parametrize("how", ["lambda *ids: None", "lambda real, effective, saved: really(real, effective, 0)"])
def test_an_agent_that_could_go_back_ends_before_its_hello(node_dir: Path, how: str) -> None:
    command = [*plain(PYTHON, first=f"import os; really = os.setresuid; os.setresuid = {how}"), str(ALICE)]
    with AgentClient(node_dir, command, stderr=subprocess.PIPE) as agent:
        assert agent.line() is None
        assert agent.process.stderr is not None
        assert agent.process.stderr.read() == b"has not become uid 2001 alone\n"
        agent.process.stderr.close()


def test_the_owner_can_neither_read_nor_trace_it(node_dir: Path) -> None:
    """It was root: its memory and descriptors are root's."""
    look = """\
import os, sys
for name in ("environ", "mem", "maps"):
    try:
        open("/proc/%s/%s" % (sys.argv[1], name), "rb").read(1)
        print(name)
    except OSError:
        pass
for fd in "012":
    try:
        os.open("/proc/%s/fd/%s" % (sys.argv[1], fd), os.O_WRONLY)
        print(fd)
    except OSError:
        pass
import ctypes
if ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0) == 0:  # PTRACE_ATTACH
    print("traced")
"""
    with as_owner(node_dir, ALICE) as agent:
        agent.until("hello")
        seen = run_as(ALICE, look, agent.process.pid)
        assert (seen.returncode, seen.stdout) == (0, b""), seen
        agent.send(b'{"op":"ping"}\n')
        agent.until("alive")


def test_it_acts_on_no_process_of_others(node_dir: Path) -> None:
    """Processes of bob and root carry the key of alice's job, as if they were left of it."""
    job = new_job()
    env = {"CLBALANCE_JOB_KEY": job, "PATH": os.environ["PATH"]}
    others = [subprocess.Popen(["sleep", "60"], env=env, user=uid, group=uid, extra_groups=[]) for uid in (BOB, 0)]
    hers = subprocess.Popen(["sleep", "60"], env=env, user=ALICE, group=ALICE, extra_groups=[])
    try:
        with as_owner(node_dir, ALICE) as agent:
            agent.ask("settle", job, boot_id=_boot_id(), birth="f" * 32, void=False)
            assert agent.until("settled")["state"] == "gone"
        assert hers.wait() == -9
        assert [other.poll() for other in others] == [None, None]
    finally:
        for child in (*others, hers):
            child.kill()
            child.wait()


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
