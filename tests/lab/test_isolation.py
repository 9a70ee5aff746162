"""Nothing of a node survives its end, in namespaces and without; and the lab works without root."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ClusterShell
import psutil
import pytest

import clbalance
from clbalance.errors import LabError
from clbalance.lab.cluster import Lab
from clbalance.lab.namespaces import Isolation
from clbalance.lab.node import LabNodeState
from clbalance.lab.spec import LabSpec, LabUser
from tests.conftest import LAB_USERS, NewLab
from tests.lab_restore import restore
from tests.waiting import eventually

from .seen import ssh, told

# Each leaves its session in another way; the second even gives up its environment.
ESCAPES = (
    "setsid sh -c 'sleep 7001 & sleep 7002' </dev/null >/dev/null 2>&1 &",
    "env -i setsid setsid sh -c 'sleep 7003 & exec sleep 7004' </dev/null >/dev/null 2>&1 &",
    "(trap '' HUP TERM INT; nohup sleep 7005 </dev/null >/dev/null 2>&1 &)",
)
SLEEPS = {f"{seconds}" for seconds in range(7001, 7006)}


@pytest.fixture(params=[None, Isolation.SUBREAPER], ids=["the best", "subreaper"])
def small(request: pytest.FixtureRequest, new_lab: NewLab) -> Lab:
    return new_lab(LabSpec(nodes=2, isolation=request.param, tied=True))


def sleepers(lab: Lab, node: str) -> set[str]:
    return {words[1] for words in map(words_of, lab.processes(node)) if words[:1] == ["sleep"]}


def words_of(pid: int) -> list[str]:
    """What a process was started as; nothing of one that has ended since it was listed, as shells of a login do."""
    with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return psutil.Process(pid).cmdline()
    return []


def all_sleepers() -> set[int]:
    return {
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if SLEEPS.intersection(process.info["cmdline"] or ()) and process.info["status"] != psutil.STATUS_ZOMBIE
    }


def test_nothing_of_a_killed_node_survives_whatever_it_did_to_get_away(small: Lab) -> None:
    before = all_sleepers()
    for escape in ESCAPES:
        told(small, "node1", escape)
    eventually(lambda: sleepers(small, "node1") == SLEEPS)
    mine = all_sleepers() - before
    assert len(mine) >= len(SLEEPS)
    small.node("node1").kill()
    assert [pid for pid in mine if _lives_by(pid)] == []
    assert small.node("node2").state() is LabNodeState.UP


def test_what_escaped_its_session_is_frozen_with_its_node(small: Lab) -> None:
    told(small, "node1", ESCAPES[0])
    eventually(lambda: len(sleepers(small, "node1")) == 2)
    small.node("node1").hang()
    assert {psutil.Process(pid).status() for pid in small.processes("node1")} == {psutil.STATUS_STOPPED}
    small.node("node1").thaw()
    assert told(small, "node1", "echo back") == "back"


def test_what_logins_left_behind_ends_when_the_lab_is_restored(small: Lab) -> None:
    for escape in ESCAPES:
        told(small, "node1", escape)
    eventually(lambda: sleepers(small, "node1") == SLEEPS)
    restore(small)
    assert sleepers(small, "node1") == set()
    assert told(small, "node1", "echo back") == "back"


def test_orphans_of_a_subreaper_that_died_are_found_when_the_lab_goes_down(new_lab: NewLab) -> None:
    lab = new_lab(LabSpec(nodes=1, isolation=Isolation.SUBREAPER, tied=True))
    told(lab, "node1", ESCAPES[0])
    eventually(lambda: len(sleepers(lab, "node1")) == 2)
    processes = [psutil.Process(pid) for pid in lab.processes("node1")]
    processes[0].kill()
    eventually(lambda: not _lives(processes[0]))
    lab.down()
    assert [process for process in processes if _lives(process)] == []


def test_a_node_whose_init_died_can_be_booted_again(small: Lab) -> None:
    told(small, "node1", ESCAPES[0])
    eventually(lambda: len(sleepers(small, "node1")) == 2)
    processes = [psutil.Process(pid) for pid in small.processes("node1")]
    processes[0].kill()
    eventually(lambda: small.node("node1").state() is LabNodeState.DOWN)
    small.node("node1").boot()
    assert told(small, "node1", "echo back") == "back"
    assert [process for process in processes if _lives(process)] == []


def _lives_by(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return _lives(psutil.Process(pid))
    return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_sessions_are_no_different_without_namespaces(small: Lab) -> None:
    home, path, shell = told(small, "node2", 'echo "$HOME"; echo "$PATH"; echo "$0"').splitlines()
    assert home == str(small.node("node2").folder.home(small.record.user))
    assert path.startswith(f"{small.directory}/node2/bin:")
    assert shell


# -- as root: users of their own -----------------------------------------------------------------

root_only = pytest.mark.skipif(os.getuid() != 0, reason="needs root")


@root_only
@pytest.mark.root
@pytest.mark.parametrize("user", [u for u in LAB_USERS if not u.shell.endswith("nologin")], ids=lambda u: u.name)
def test_users_log_in_with_their_shell_to_their_home(lab: Lab, user: LabUser) -> None:
    out = told(
        lab, "node1", "id -u; echo $HOME; echo $SHELL; touch $CLBALANCE_NODE_DIR/mine $HOME/mine", "-l", user.name
    )
    home = lab.node("node1").folder.home(user.name)
    assert out.splitlines() == [str(user.uid), str(home), user.shell]
    assert (home / "mine").stat().st_uid == user.uid


@root_only
@pytest.mark.root
def test_a_user_without_a_login_shell_cannot_run_anything(lab: Lab) -> None:
    done = ssh(lab, "node1", "echo never", "-l", "nologinuser")
    assert done.returncode == 1
    assert "never" not in done.stdout


@root_only
@pytest.mark.root
def test_users_cannot_reach_into_each_others_homes_or_list_the_lab(lab: Lab) -> None:
    for place in (lab.node("node1").folder.home("bob"), lab.directory, lab.node("node1").folder.home(lab.record.user)):
        assert ssh(lab, "node1", f"ls {place}", "-l", "alice").returncode != 0


@root_only
@pytest.mark.root
def test_the_machines_own_accounts_stay_as_they_were(lab: Lab) -> None:
    assert "alice" not in Path("/etc/passwd").read_text()
    assert "alice" in told(lab, "node1", "cat /etc/passwd")
    assert "$" not in told(lab, "node1", "cat /etc/shadow"), "no password hash is copied"


# -- without root ---------------------------------------------------------------------------------

PLAIN = 64321  # not nobody, whose account systemd's name service shows as locked
SYSTEM_PYTHON = Path("/usr/bin/python3")
SCRIPT = """
import sys, subprocess, json
from pathlib import Path
from clbalance.lab.cluster import Lab
from clbalance.lab.namespaces import Isolation
from clbalance.lab.spec import LabSpec
with Lab.up(Path(sys.argv[1]), LabSpec(nodes=2, isolation=Isolation(sys.argv[2]))) as lab:
    def told(command):
        return subprocess.run(["ssh", "-F", str(lab.ssh_config), "node2", command],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout.split()
    lab.node("node2").load(r1m=2.0)
    seen = {"uid": told("id -u"), "load": told("cat $CLBALANCE_PROCFS/loadavg"), "home": told("echo $HOME; echo ~")}
    told("setsid sleep 7100 </dev/null >/dev/null 2>&1 &")
    processes = lab.processes("node2")
    lab.node("node2").kill()
    seen["left"] = [pid for pid in processes if Path(f"/proc/{pid}").exists()
                    and " Z " not in Path(f"/proc/{pid}/stat").read_text()]
    lab.node("node2").boot()
    seen["after"] = told("echo back")
print(json.dumps(seen))
"""


@pytest.fixture
def plain_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="clbalance-plain-", dir="/tmp"))
    os.chown(folder, PLAIN, PLAIN)
    package = folder / "package"
    for module in (clbalance, ClusterShell, psutil):  # whatever the system's Python has of its own
        source = Path(module.__file__ or "").parent
        shutil.copytree(source, package / source.name)
    for path in (package, *package.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    yield folder
    shutil.rmtree(folder)


def as_plain_user(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run a program as an unprivileged user, who exists in this mount namespace only."""
    passwd = folder / "passwd"
    passwd.write_text(f"plain:x:{PLAIN}:{PLAIN}::{folder}:/bin/sh\nroot:x:0:0::/root:/bin/sh\n")
    drop = f"exec setpriv --reuid {PLAIN} --regid {PLAIN} --clear-groups"
    script = f'mount --bind {passwd} /etc/passwd && {drop} "$@"'
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, "sh", *argv],
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(folder / "package")},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _plain_users_have_namespaces() -> bool:
    if os.getuid() != 0:
        return False
    tried = subprocess.run(
        ["setpriv", "--reuid", str(PLAIN), "--regid", str(PLAIN), "--clear-groups", "unshare", "-Urmpf", "true"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


@root_only
@pytest.mark.root
@pytest.mark.sshd
@pytest.mark.parametrize("isolation", list(Isolation))
def test_a_lab_needs_no_root(openssh: None, plain_folder: Path, isolation: Isolation) -> None:
    if isolation is Isolation.NAMESPACES and not _plain_users_have_namespaces():
        pytest.skip("this machine allows no user namespaces")
    lab = plain_folder / "lab"
    done = as_plain_user(plain_folder, str(SYSTEM_PYTHON), "-c", SCRIPT, str(lab), isolation)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    home = f"{lab}/node2/home/plain"
    assert seen["load"][:3] == ["2.00", "2.00", "2.00"]
    assert (seen["uid"], seen["home"]) == ([str(PLAIN)], [home, home])
    assert (seen["left"], seen["after"]) == ([], ["back"])
    assert not lab.exists()


@root_only
@pytest.mark.root
@pytest.mark.sshd
def test_several_users_without_root_are_refused(openssh: None, plain_folder: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from clbalance.lab.cluster import Lab; "
        "from clbalance.lab.spec import LabSpec, LabUser; "
        "Lab.up(Path(sys.argv[1]), LabSpec(users=(LabUser(name='alice', uid=2001),)))"
    )
    done = as_plain_user(plain_folder, str(SYSTEM_PYTHON), "-c", script, str(plain_folder / "lab"))
    assert "several users need root" in done.stderr
    assert not (plain_folder / "lab").exists()


@root_only
@pytest.mark.root
def test_several_users_without_namespaces_are_refused(openssh: None, tmp_path: Path) -> None:
    spec = LabSpec(users=(LabUser(name="alice", uid=2001),), isolation=Isolation.SUBREAPER)
    with pytest.raises(LabError, match="several users need root and namespaces"):
        Lab.up(tmp_path / "lab", spec)
    assert not (tmp_path / "lab").exists()
