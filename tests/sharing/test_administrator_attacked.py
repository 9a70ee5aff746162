"""What users put into their folders for an administrator to fall into: links, FIFOs, forged leases, pids and specs.

Root here makes what they could make, and what they could not: a hard link to a file of root's, or a process of root's
that holds the lock of their lease.
"""

import contextlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from tests.cli.command import Command
from tests.cli.held_jobs import LATER, detached
from tests.cli.stalled_agents import replace_python
from tests.waiting import SOON_S

from .holding import forge, held, home_of, leases_held, uid_of

pytestmark = pytest.mark.root

ALICE = ("-l", "alice", "--chdir", "/")
SECRET = "only for root"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that nobody but root may read or write."""
    path = tmp_path / "secret"
    path.write_text(SECRET)
    path.chmod(0o600)
    return path


@pytest.fixture
def hers(shared_lab: Lab, clbalance: Command, tmp_path: Path) -> Iterator[Path]:
    """The folder on node1 of a job that alice runs."""
    owner = Command(env={**clbalance.env, "CLBALANCE_STATE_DIR": str(tmp_path / "hers")}, folder=clbalance.folder)
    number = detached(owner, *ALICE, "-w", "node1", "-c", "echo up; exec sleep 600")
    (lease,) = leases_held(shared_lab.node("node1"))
    yield lease.parent / "jobs" / lease.name.removeprefix("lease-")
    owner("cancel", number)


def typed(folder: Path) -> str:
    """The job by its owner and key."""
    return f"2001/{folder.name.partition('.')[0]}"


def replaced(path: Path, target: Path | None, kind: str) -> None:
    """The file is what alice has made of it: a link, a hard link, a FIFO, or nothing that can be opened."""
    path.unlink(missing_ok=True)
    if kind == "link":
        path.symlink_to(target or "/")
    elif kind == "hard link":
        assert target is not None
        path.hardlink_to(target)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
        os.chown(path, 2001, 2001)
    else:
        path.mkdir()
        os.chown(path, 2001, 2001)


@pytest.mark.parametrize("kind", ["link", "hard link", "fifo", "folder"])
def test_logs_shows_nothing_that_the_owner_could_not_read(
    clbalance: Command, hers: Path, secret: Path, kind: str
) -> None:
    replaced(hers / "stdout", secret, kind)
    began = time.monotonic()
    done = clbalance("logs", typed(hers), "--node", "node1")
    assert (done.text, time.monotonic() - began < SOON_S) == ("", True)
    assert SECRET not in done.stderr


@pytest.mark.parametrize("file", ["control", "exit", "exit.tmp", "fate", "spec"])
@pytest.mark.parametrize("kind", ["link", "hard link", "fifo"])
def test_cancel_writes_into_nothing_that_the_owner_could_not_write(
    shared_lab: Lab, clbalance: Command, hers: Path, secret: Path, file: str, kind: str
) -> None:
    replaced(hers / file, secret, kind)
    began = time.monotonic()
    clbalance("cancel", typed(hers), "-w", "node1")
    assert time.monotonic() - began < SOON_S
    facts = secret.stat()
    assert (secret.read_text(), facts.st_uid, facts.st_mode & 0o777) == (SECRET, 0, 0o600)


def test_a_job_folder_that_is_a_link_leads_nowhere(
    shared_lab: Lab, clbalance: Command, hers: Path, tmp_path: Path
) -> None:
    roots = tmp_path / "roots"
    roots.mkdir(mode=0o700)
    for name in ("stdout", "control", "exit"):
        (roots / name).write_text(SECRET)
    hers.rename(hers.with_name("moved"))
    hers.symlink_to(roots)
    assert clbalance("logs", typed(hers), "--node", "node1").text == ""
    clbalance("cancel", typed(hers), "-w", "node1")
    assert {path.read_text() for path in roots.iterdir()} == {SECRET}


@pytest.mark.parametrize("holder", ["root", "bob"])
def test_a_forged_pid_costs_no_process_of_another_user(shared_lab: Lab, clbalance: Command, holder: str) -> None:
    """The kernel names who holds the lock of a lease as the supervisor, and here that is somebody else's process."""
    lease = forge(shared_lab.node("node1"), uid_of(shared_lab, "alice"))
    lease.chmod(0o666)
    key = lease.name.removeprefix("lease-").partition(".")[0]
    with held(shared_lab, "node1", holder, "fcntl", lease) as pid:
        before = [pid in node_pids(shared_lab), pid]
        for options in ((), ("--signal", "KILL")):
            clbalance("cancel", f"2001/{key}", "-w", "node1", "-t", "2s", "-u", "1s", *options)
        assert [pid in node_pids(shared_lab), pid] == before


def node_pids(lab: Lab) -> set[int]:
    """The pids of node1's processes, as the node counts them."""
    pids = set()
    for process in lab.node("node1").processes():
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            (line,) = [one for one in lines if one.startswith("NSpid:")]
            pids.add(int(line.split()[-1]))
    return pids


def test_a_forged_lease_with_anothers_key_costs_the_other_nothing(
    shared_lab: Lab, clbalance: Command, hers: Path
) -> None:
    """Bob claims to run alice's job: her key alone names two jobs, and his name never means hers."""
    key = hers.name.partition(".")[0]
    lease = home_of(shared_lab.node("node1"), 2002) / f"lease-{hers.name}"
    forge(shared_lab.node("node1"), 2002).rename(lease)
    with held(shared_lab, "node1", "bob", "fcntl", lease):
        both = clbalance("cancel", key, "-w", "node1")
        assert (both.rc, "names 2 jobs" in both.stderr) == (2, True)
        assert f"2001/{key[:12]}" in both.stderr
        clbalance("cancel", f"2002/{key}", "-w", "node1")
    assert [path.parent.name for path in leases_held(shared_lab.node("node1"))] == ["clbalance-2001"]
    done = clbalance("cancel", f"2001/{key}", "-w", "node1")
    assert (done.rc, "CANCELLED" in done.stderr) == (0, True)


def test_a_forged_lease_beside_the_jobs_own_hides_it_from_nobody(
    shared_lab: Lab, clbalance: Command, hers: Path
) -> None:
    """No agent would take a claim of that number."""
    own = home_of(shared_lab.node("node1"), 2001) / f"lease-{hers.name}"
    forged = own.with_name(own.name.partition(".")[0] + ".0")
    forge(shared_lab.node("node1"), 2001).rename(forged)
    with held(shared_lab, "node1", "alice", "fcntl", forged):
        done = clbalance("cancel", typed(hers), "-w", "node1")
        assert (done.rc, "CANCELLED" in done.stderr) == (0, True)
        assert leases_held(shared_lab.node("node1")) == [forged]


def test_a_forged_number_means_no_job_of_another_user(shared_lab: Lab, clbalance: Command, hers: Path) -> None:
    spec = json.loads((hers / "spec").read_text())
    spec["env"].update(CLBALANCE_JOB_ID="77", CLBALANCE_SUBMIT_HOST="elsewhere")
    (hers / "spec").write_text(json.dumps(spec))
    refused = clbalance("cancel", "2002/77@elsewhere", "-w", "node1")
    assert (refused.rc, "no running job is called `2002/77@elsewhere`" in refused.stderr) == (2, True)
    assert len(leases_held(shared_lab.node("node1"))) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", '{"env": 7}', '{"env": {}, "argv": 9}', "[" * 100_000, "\0" * 5000])
def test_a_spec_of_nonsense_is_no_job(clbalance: Command, hers: Path, text: str) -> None:
    (hers / "spec").write_text(text)
    refused = clbalance("cancel", "2001/77@elsewhere", "-w", "node1")
    assert (refused.rc, "no running job" in refused.stderr) == (2, True)


def test_text_of_the_owner_is_shown_without_its_escapes(shared_lab: Lab, clbalance: Command) -> None:
    lease = forge(shared_lab.node("node1"), 2001, name="\x1b]0;owned\x07[red]")
    with held(shared_lab, "node1", "alice", "fcntl", lease):
        seen = clbalance("jobs", "-w", "node1", "--all-users")
        clbalance("cancel", f"2001/{lease.name[6:38]}", "-w", "node1")
    audit = Path(clbalance.env["CLBALANCE_STATE_DIR"], "audit.jsonl").read_text()
    assert "\x1b" not in seen.text + seen.stderr + audit


@pytest.mark.parametrize("number", ["STOP", "KILL"])
def test_an_owner_who_stops_or_kills_the_agent_gains_nothing(
    shared_lab: Lab, clbalance: Command, hers: Path, number: str
) -> None:
    """It runs as his uid, so he may; and the administrator is told that the node did not confirm."""
    replace_python(
        shared_lab.node("node1"), f'[ "$5" != 2001 ] || kill -{number} $$\nPATH=${{PATH#*:}}\nexec python3 "$@"'
    )
    done = clbalance("cancel", typed(hers), "-w", "node1", *LATER)
    assert (done.rc, "node1" in done.stderr) == (4, True)


def test_a_lease_that_no_agent_would_name_is_left_to_its_owner(shared_lab: Lab, clbalance: Command) -> None:
    lease = forge(shared_lab.node("node1"), 2001)
    lease = lease.rename(lease.with_name("lease-whatever.1"))
    with held(shared_lab, "node1", "alice", "fcntl", lease):
        done = clbalance("drain", "node1", "--reason", "disk", "--deadline", "1s", "--force")
    assert (done.rc, "not drained yet: 1 of uid 2001" in done.stderr) == (4, True)
    assert clbalance("resume", "node1").rc == 0
