"""What `reap` finds and takes away on a node, and all that it leaves alone; with real jobs and real locks."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.node.job.test_agent_settle import OTHER_BOOT, bereaved_job, ended_job
from tests.waiting import eventually

from .agent_client import gone, pids_in
from .lives import Claim, Lives, ask_admission, ask_start, carriers, kill
from .nodes import ALICE, fill, locked, wait_until_void
from .test_agent_tree import MEMBERS

AGO_S = 3600.0 * 24 * 30
JOB = "f" * 32 + ".1"


def reap(jobs: Lives, *, apply: bool = True, keep_s: float = 0.0, **wanted: Any) -> list[tuple[str, str, int]]:
    """What a fresh agent tells: kind, name and bytes of each finding, all of it asked for.

    A job whose folder took longer than one answer may is told in parts, which are added up.
    """
    found: dict[tuple[str, str], int] = {}
    for one in findings(jobs, apply=apply, keep_s=keep_s, **wanted):
        place = one["kind"], one["name"]
        found[place] = found.get(place, 0) + one["bytes"]
    return [(*place, size) for place, size in found.items()]


def findings(jobs: Lives, *, apply: bool = True, keep_s: float = 0.0, uid: int | None = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    with jobs.node.client(uid) as fresh:
        fresh.until("hello")
        parsed = {"last": "", "more": True}
        while parsed["more"]:
            parsed = fresh.ask_node("reap", keep_s=keep_s, apply=apply, after=parsed["last"])
            assert parsed["ev"] == "reaped", parsed
            found += parsed["found"]
    return found


def age(folder: Path) -> None:
    """Let everything in a job's folder, and the folder, be a month old."""
    for path in (*folder.iterdir(), folder):
        then = path.lstat().st_mtime - AGO_S
        os.utime(path, (then, then), follow_symlinks=False)


def snapshot(folder: Path) -> dict[str, tuple[float, int]]:
    return {str(path): (path.lstat().st_mtime, path.lstat().st_size) for path in sorted(folder.rglob("*"))}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def printed(jobs: Lives) -> Claim:
    """A job that has ended, with 6 bytes of output and a folder of its own in its folder."""
    claim, supervisor = jobs.start(
        jobs.agent(), "echo hello; mkdir -p $CLBALANCE_JOB_DIR/a/b; echo > $CLBALANCE_JOB_DIR/a/b/c"
    )
    assert gone([supervisor])
    return claim


def test_of_an_ended_job_the_tombstone_stays_and_the_end_that_it_had(jobs: Lives, printed: Claim) -> None:
    size = sum(path.stat().st_size for path in jobs.folder(printed).rglob("*") if path.is_file()) - 4096
    assert reap(jobs) == [("job", printed.job, size)]
    assert names(jobs.folder(printed)) == {"fate", "exit"}
    parsed = jobs.settle(printed)
    assert (parsed["state"], parsed["record"]["end"]) == ("ended", {"kind": "exited", "rc": 0})
    assert reap(jobs) == []


def test_a_start_that_is_repeated_behind_a_reap_starts_nothing(jobs: Lives, printed: Claim) -> None:
    reap(jobs)
    late = jobs.agent()
    late.ask("claim", printed.job)
    assert late.answer()["kind"] == "exists"
    assert jobs.settle(printed)["state"] == "ended"


def test_without_apply_nothing_is_changed_and_the_same_is_told(jobs: Lives, printed: Claim) -> None:
    bereaved = bereaved_job(jobs)
    jobs.node.mark(f"lease-{JOB}", b"x" * 10, os.geteuid())
    before = snapshot(jobs.node.base)
    found = reap(jobs, apply=False)
    assert snapshot(jobs.node.base) == before
    assert carriers(bereaved.job)
    # Without sizes: where a look takes longer than one answer may, the rest of a folder is not counted.
    told = [one[:2] for one in found]
    assert told == [one[:2] for one in reap(jobs, apply=False)] == [one[:2] for one in reap(jobs)]
    assert {kind for kind, _, _ in found} == {"job", "lease", "processes"}


def test_where_this_user_has_never_been_nothing_is_made(jobs: Lives) -> None:
    assert reap(jobs) == []
    assert list(jobs.node.base.iterdir()) == []


def test_what_is_younger_than_the_keep_time_stays(jobs: Lives, printed: Claim) -> None:
    assert reap(jobs, keep_s=60.0) == []
    age(jobs.folder(printed))
    assert [kind for kind, _, _ in reap(jobs, keep_s=AGO_S - 60)] == ["job"]


def test_a_job_that_runs_is_never_touched(jobs: Lives) -> None:
    claim, _ = jobs.start(jobs.agent(), "echo x; echo $$ > pids; exec sleep 600")
    pids_in(jobs.node.base / "pids", 1)
    age(jobs.folder(claim))
    before = snapshot(jobs.node.base)
    assert reap(jobs) == []
    assert snapshot(jobs.node.base) == before
    assert jobs.settle(claim)["state"] == "running"


def test_a_job_whose_lease_somebody_removed_runs_on_untouched(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), "echo $$ > pids; exec sleep 600")
    (pid,) = pids_in(jobs.node.base / "pids", 1)
    jobs.node.lease_of(claim.job).unlink()
    age(jobs.folder(claim))
    assert reap(jobs) == []
    os.kill(pid, 0)
    kill(pid)
    assert gone([supervisor])


def test_a_job_that_is_admitted_or_only_claimed_can_still_be_started(jobs: Lives) -> None:
    client = jobs.agent()
    admitted, claimed = jobs.admit(client), jobs.claim(client)
    assert reap(jobs) == []
    ask_start(client, admitted.job, "true")
    client.until("started", admitted.job)
    ask_admission(client, claimed.job)
    client.until("admitted", claimed.job)


def test_a_claim_that_nobody_has_started_in_an_hour_never_shall(jobs: Lives) -> None:
    client = jobs.agent()
    claim = jobs.claim(client)
    client.put(claim.job, "script", b"x" * 100)
    client.until("stored")
    age(jobs.folder(claim))
    assert reap(jobs, apply=False) == [("claim", claim.job, 100)] == reap(jobs)
    assert names(jobs.folder(claim)) == {"fate"}
    assert jobs.settle(claim, void=False) == {"state": "void"}
    assert reap(jobs) == []


def test_of_a_job_whose_supervisor_died_the_processes_are_ended_and_its_end_can_still_be_told(jobs: Lives) -> None:
    claim = bereaved_job(jobs)
    pids = pids_in(jobs.node.base / "pids", MEMBERS)
    (found,) = [one for one in findings(jobs, keep_s=AGO_S) if one["kind"] == "processes"]
    assert found["name"] == claim.job
    assert set(found["pids"]) & set(pids)
    assert gone(pids)
    assert not carriers(claim.job)
    assert jobs.settle(claim)["record"]["end"] == {"kind": "killed", "signal": 9}


def test_only_what_has_both_the_key_and_the_folder_of_an_ended_job_is_ended(jobs: Lives) -> None:
    ended = ended_job(jobs)
    folder = str(jobs.folder(ended))
    lures = [
        {"CLBALANCE_JOB_KEY": ended.job, "CLBALANCE_JOB_DIR": f"/elsewhere/{ended.job}"},
        {"CLBALANCE_JOB_KEY": ended.job},
        {"CLBALANCE_JOB_KEY": JOB, "CLBALANCE_JOB_DIR": str(jobs.folder(ended).with_name(JOB))},
        {"CLBALANCE_JOB_KEY": f"../jobs/{ended.job}", "CLBALANCE_JOB_DIR": f"{folder}/../../jobs/{ended.job}"},
    ]
    children = [subprocess.Popen(["sleep", "600"], env={"PATH": os.environ["PATH"], **lure}) for lure in lures]
    mine = subprocess.Popen(
        ["sleep", "600"], env={"PATH": os.environ["PATH"], "CLBALANCE_JOB_KEY": ended.job, "CLBALANCE_JOB_DIR": folder}
    )
    try:
        found = findings(jobs, keep_s=AGO_S)
        assert [(one["kind"], one["pids"]) for one in found] == [("processes", [mine.pid])]
        assert mine.wait() == -9
        assert all(child.poll() is None for child in children)
    finally:
        for child in (*children, mine):
            child.kill()
            child.wait()


def test_what_calls_for_the_reap_is_not_ended_by_it(jobs: Lives) -> None:
    ended = ended_job(jobs)
    with jobs.node.client(CLBALANCE_JOB_KEY=ended.job, CLBALANCE_JOB_DIR=str(jobs.folder(ended))) as client:
        client.until("hello")
        assert client.ask_node("reap", keep_s=AGO_S, apply=True)["found"] == []


def test_jobs_of_an_earlier_boot_go_wholly(jobs: Lives, printed: Claim) -> None:
    void = jobs.claim(jobs.agent())
    jobs.settle(void)
    jobs.node.boot(OTHER_BOOT)
    assert reap(jobs, keep_s=60.0) == []
    assert sorted(kind for kind, _, _ in reap(jobs, apply=False)) == ["boot", "boot"]
    assert sorted(kind for kind, _, _ in reap(jobs)) == ["boot", "boot"]
    assert names(jobs.node.home() / "jobs") == set()
    assert jobs.settle(printed)["state"] == "gone"


def test_a_void_lease_goes_and_a_held_one_stays(jobs: Lives) -> None:
    held = jobs.node.mark(f"lease-{'e' * 32}.1", b"{}", os.geteuid())
    void = jobs.node.mark(f"lease-{JOB}", b"{}", os.geteuid())
    with locked("write", held):
        assert reap(jobs) == [("lease", void.name, 2)]
    assert (held.exists(), void.exists()) == (True, False)


def test_half_made_files_go_when_they_are_old_and_their_makers_gone(jobs: Lives) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    me = os.geteuid()
    halves = [
        jobs.node.mark(name, b"xyz", me)
        for name in (f"new-{JOB}", f"drain.{dead.pid}.tmp", f"drain.{os.getpid()}.tmp", "other.tmp")
    ]
    assert reap(jobs) == []
    for half in halves:
        os.utime(half, (0, 0))
    locked_half = jobs.node.mark(f"new-{'e' * 32}.1", b"xyz", me)
    os.utime(locked_half, (0, 0))
    with locked("write", locked_half):
        assert reap(jobs) == [("half", f"drain.{dead.pid}.tmp", 3), ("half", f"new-{JOB}", 3)]
    assert [half.exists() for half in (*halves, locked_half)] == [False, False, True, True, True]


def test_a_proposal_goes_when_it_has_ended(jobs: Lives) -> None:
    for key, lasts_s in (("cd" * 16, 3600.0), ("ab" * 16, 0.0)):
        jobs.agent().ask_node("propose", key=key, asked_at=1.0, lasts_s=lasts_s, reason="disk", by="me")
    assert [(kind, name) for kind, name, _ in reap(jobs)] == [("half", f"drain-{'ab' * 16}")]
    assert sorted(path.name for path in jobs.node.home().glob("drain*")) == [f"drain-{'cd' * 16}"]


def test_marks_and_what_is_not_of_ours_stay(jobs: Lives) -> None:
    jobs.agent().ask_node("drain", reason="disk", by="me", until=None)
    home = jobs.node.home()
    (home / "notes").write_text("mine")
    (home / "jobs" / "notes").mkdir()
    os.mkfifo(home / f"lease-{JOB}")
    (home / f"lease-{'d' * 32}.1").symlink_to("/etc/passwd")
    before = snapshot(jobs.node.base)
    reap(jobs)
    assert snapshot(jobs.node.base) == before


def test_a_link_in_a_job_s_folder_is_not_followed(jobs: Lives, printed: Claim, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x" * 1000)
    (jobs.folder(printed) / "link").symlink_to(tmp_path)
    (jobs.folder(printed) / "a" / "link").symlink_to(tmp_path / "precious")
    reap(jobs)
    assert (tmp_path / "precious").exists()
    assert names(jobs.folder(printed)) == {"fate", "exit"}


def test_a_folder_too_deep_is_told_and_stays(jobs: Lives, printed: Claim) -> None:
    (jobs.folder(printed) / "/".join("d" * 70)).mkdir(parents=True)
    (found,) = findings(jobs)
    assert (found["kind"], found["why"]) == ("job", "folders within folders")
    assert jobs.settle(printed)["state"] == "ended"


@pytest.mark.root
def test_another_file_system_in_a_job_s_folder_is_left_alone(jobs: Lives, printed: Claim) -> None:
    mounted = jobs.folder(printed) / "a" / "mnt"
    mounted.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "x", str(mounted)], capture_output=True, check=False).returncode:
        pytest.skip("may not mount here")
    try:
        (mounted / "precious").touch()
        (found,) = findings(jobs)
        assert (found["kind"], found["why"]) == ("job", "Invalid cross-device link")
        assert (mounted / "precious").exists()
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


@pytest.fixture
def many(jobs: Lives) -> int:
    jobs.node.limits = {"REAPED_BYTES": 20_000}
    for n in range(600):
        jobs.node.mark(f"lease-{n:032x}.1", b"{}", os.geteuid())
    return 600


@pytest.mark.parametrize("apply", [False, True])
def test_more_than_one_answer_holds_is_asked_for_again_and_all_told_once(jobs: Lives, many: int, apply: bool) -> None:
    found = reap(jobs, apply=apply)
    assert len(found) == len(set(found)) == many
    assert len(jobs.node.leases()) == (0 if apply else many)


def test_one_answer_holds_thousands_of_void_leases(jobs: Lives) -> None:
    for n in range(2_000):
        jobs.node.mark(f"lease-{n:032x}.1", b"{}", os.geteuid())
    with jobs.node.client() as fresh:
        fresh.until("hello")
        parsed = fresh.ask_node("reap", keep_s=0.0, apply=False, after="")
    assert len(parsed["found"]) > 1_000


@pytest.mark.root
def test_nothing_of_another_user_is_touched_not_even_by_root(jobs: Lives, printed: Claim) -> None:
    home = jobs.node.make_home(ALICE)
    theirs = home / "jobs" / JOB
    theirs.parent.mkdir(mode=0o700)
    shutil.copytree(jobs.folder(printed), theirs, symlinks=True, ignore=shutil.ignore_patterns("control"))
    jobs.node.mark(f"lease-{JOB}", b"{}", ALICE)
    for path in (home, *home.rglob("*")):
        os.lchown(path, ALICE, ALICE)
    before = snapshot(home)
    assert [name for _, name, _ in reap(jobs)] == [printed.job]
    assert snapshot(home) == before
    assert sorted(kind for kind, _, _ in reap(jobs, uid=ALICE)) == ["job", "lease"]


@pytest.mark.root
def test_a_home_that_others_may_write_to_or_that_is_a_link_is_none_of_ours(jobs: Lives, tmp_path: Path) -> None:
    lease = jobs.node.mark(f"lease-{JOB}", b"{}", os.geteuid())
    lease.parent.chmod(0o777)
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / f"lease-{JOB}").touch()
    jobs.node.home().with_name(f"clbalance-{os.geteuid()}-1").symlink_to(linked)
    assert reap(jobs) == []
    assert lease.exists()
    assert names(linked) == {f"lease-{JOB}"}


def test_neither_junk_in_our_folder_nor_many_tombstones_hide_a_leftover(jobs: Lives) -> None:
    jobs.node.limits = {"REAP_LISTED": 100}
    me = os.geteuid()
    home = jobs.node.make_home(me)
    fill("files", home, "a%d", 150, uid=me)
    (home / "jobs").mkdir(mode=0o700)
    fill("folders", home / "jobs", "%032x.1", 250, uid=me)
    leases = {jobs.node.mark(f"lease-{n:032x}.1", b"{}", me).name for n in range(250)}
    assert {name for _, name, _ in reap(jobs)} == leases


def test_a_lease_found_under_any_of_our_names_is_ours(jobs: Lives) -> None:
    second = jobs.node.home().with_name(f"clbalance-{os.geteuid()}-3")
    second.mkdir(mode=0o755)
    (second / f"lease-{JOB}").touch()
    assert reap(jobs) == [("lease", f"lease-{JOB}", 0)]


def test_void_leases_of_real_jobs_are_found(jobs: Lives) -> None:
    claim, supervisor = jobs.start(jobs.agent(), "exec sleep 600")
    lease = jobs.node.lease_of(claim.job)
    kill(supervisor)
    wait_until_void(lease)
    eventually(lambda: not carriers(claim.job))
    assert [(kind, name) for kind, name, _ in reap(jobs, keep_s=AGO_S)] == [("lease", f"lease-{claim.job}")]
    assert jobs.settle(claim)["state"] == "ended"
