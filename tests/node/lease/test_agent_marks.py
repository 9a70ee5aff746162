"""Leases and drain marks of other users: what counts, what is void, and what is only meant to do harm."""

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.node.agent_client import AgentClient, gone, new_job
from tests.node.nodes import ALICE, BOB, GPUS, Node, lease_text, locked, locker_of
from tests.waiting import SOON_S

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

UNREADABLE_WHY = f"the whole node is taken; leased: uid {ALICE} a lease that cannot be read"


def lease_name() -> str:
    return "lease-" + new_job()


def forge(node: Node, content: bytes | None = None, uid: int = ALICE) -> Path:
    return node.mark(lease_name(), lease_text() if content is None else content, uid)


# -- which leases count ---------------------------------------------------------------------------


def test_users_count_each_others_leases(node: Node) -> None:
    with node.client(ALICE) as alice, node.client(BOB) as bob, node.client() as root:
        alice.admit(cpus=2, gpu_count=1, gpu_candidates=GPUS)
        bob.admit(cpus=1)
        assert root.admission_refusal(cpus=2) == (
            "cpus",
            f"cpus: 2 requested, 1 of 4 free, 0 in use besides leases; leased: uid {ALICE} 2, uid {BOB} 1",
        )
        assert bob.admission_refusal(gpu_count=1, gpu_candidates=GPUS[:1])[1] == (
            f"GPUs: 1 requested, 0 of 1 candidates free; leased: uid {ALICE} 1"
        )
        assert [path.stat().st_uid for path in node.leases()] == [ALICE, BOB]


def test_a_lease_whose_lock_is_gone_is_void_but_only_its_owner_removes_it(node: Node) -> None:
    path = forge(node, lease_text(cpus=4.0))
    with node.client(BOB) as bob, node.client(ALICE) as alice:
        bob.admit(cpus=2)
        assert path.exists()
        alice.admit(cpus=2)
        assert not path.exists()


def test_a_lock_for_reading_which_anyone_may_take_keeps_no_lease_alive(node: Node) -> None:
    path = forge(node, lease_text(cpus=4.0))
    with locked("read", path, uid=BOB), node.client() as client:
        client.admit(cpus=4)


def test_a_flock_keeps_no_lease_alive(node: Node) -> None:
    path = forge(node, lease_text(cpus=4.0))
    with locked("flock", path, uid=BOB), node.client() as client:
        client.admit(cpus=4)


def test_a_forged_lease_counts_only_for_its_owner_while_he_holds_it(node: Node) -> None:
    path = forge(node, lease_text(cpus=3.0))
    with node.client() as client:
        with locked("write", path, uid=ALICE):
            assert client.admission_refusal(cpus=2)[1].endswith(f"leased: uid {ALICE} 3")
        client.admit(cpus=2)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff{",
        b"[" * 1000,
        lease_text(cpus=float("nan")),
        lease_text(cpus=-1),
        lease_text(slots=10**300),
        b"x" * (10 << 20),
    ],
    ids=["empty", "garbage", "deep", "NaN", "negative", "huge", "10 MB"],
)
def test_a_held_lease_that_cannot_be_read_is_the_whole_node_and_a_void_one_nothing(node: Node, content: bytes) -> None:
    path = forge(node, content)
    with node.client() as client:
        with locked("write", path, uid=ALICE):
            assert client.admission_refusal() == ("exclusive", UNREADABLE_WHY)
        client.admit(cpus=4)


def test_a_held_lease_that_nobody_may_open_is_the_whole_node_and_a_void_one_nothing(node: Node) -> None:
    path = forge(node)
    path.chmod(0o600)
    with node.client(BOB) as client:
        with locked("write", path, uid=ALICE):
            assert client.admission_refusal() == ("exclusive", UNREADABLE_WHY)
        client.admit(cpus=4)


def test_a_lease_of_more_than_the_node_has_is_the_whole_node(node: Node) -> None:
    path = forge(node, lease_text(cpus=1e9))
    with node.client() as client, locked("write", path, uid=ALICE):
        assert client.admission_refusal() == (
            "exclusive",
            f"the whole node is taken; leased: uid {ALICE} a lease of more than the node has",
        )


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def make_device(path: Path) -> None:
    os.mknod(path, 0o020644, os.makedev(1, 5))


def make_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("make", [make_fifo, make_link, make_device, make_folder])
@pytest.mark.parametrize("name", ["lease", "drain"])
def test_what_is_no_file_is_no_mark_and_delays_nobody(node: Node, make: Callable[[Path], None], name: str) -> None:
    for uid in (ALICE, 0):
        make(node.make_home(uid) / ("drain" if name == "drain" else lease_name()))
    with node.client() as client:
        client.until("hello")
        began = time.monotonic()
        client.admit(cpus=4)
        assert time.monotonic() - began < SOON_S


def test_a_hard_link_to_anothers_lease_counts_for_nobody_twice(node: Node) -> None:
    with node.client(ALICE) as alice, node.client() as client:
        job = alice.admit(cpus=2)
        os.link(node.lease_of(job), node.make_home(BOB) / lease_name())
        client.admit(cpus=2)


def test_a_file_of_somebody_elses_in_a_home_is_no_mark(node: Node) -> None:
    path = forge(node, lease_text(cpus=4.0))
    os.chown(path, BOB, BOB)
    with locked("write", path, uid=BOB), node.client() as client:
        client.admit(cpus=4)


def test_a_home_behind_a_link_is_none(node: Node) -> None:
    path = forge(node, lease_text(cpus=4.0))
    elsewhere = node.base / "elsewhere"
    path.parent.rename(elsewhere)
    path.parent.symlink_to(elsewhere)
    with locked("write", path, uid=ALICE), node.client() as client:
        client.admit(cpus=4)


def test_a_home_counts_only_for_the_user_in_its_name(node: Node) -> None:
    path = forge(node, lease_text(cpus=3.0))
    squatted = path.parent.rename(node.home(BOB))
    with locked("write", squatted / path.name, uid=ALICE), node.client(BOB) as bob:
        assert node.lease_of(bob.admit(cpus=4)).parent == node.base / f"clbalance-{BOB}-1"


def test_one_users_many_files_hide_nobodys_leases_nor_his_own_that_hold(node: Node) -> None:
    void = [forge(node) for _ in range(300)]
    held = forge(node, lease_text(cpus=1.0))
    with locked("write", held, uid=ALICE), node.client(BOB) as bob, node.client() as client:
        bob.admit(cpus=1)
        began = time.monotonic()
        assert client.admission_refusal(cpus=3)[1].endswith(f"leased: uid {ALICE} 1, uid {BOB} 1")
        assert time.monotonic() - began < SOON_S
        client.admit(cpus=2)
    assert all(path.exists() for path in void)


def test_more_leases_than_a_process_may_open_files_are_all_counted(node: Node) -> None:
    with ExitStack() as stack:
        for uid in range(ALICE, ALICE + 5):
            paths = [forge(node, lease_text(cpus=0.002), uid) for _ in range(256)]
            stack.enter_context(locked("write", *paths, uid=uid))
        client = stack.enter_context(node.client())
        assert client.admission_refusal(cpus=2)[1].startswith("cpus: 2 requested, 1.44 of 4 free")
        client.admit(cpus=1)


def test_a_supervisors_lock_survives_all_that_others_do_to_its_file(node: Node) -> None:
    with node.client(ALICE) as alice, node.client(BOB) as bob:
        path = node.lease_of(alice.admit(cpus=2))
        supervisor = locker_of(path)
        for _ in range(3):
            bob.admission_refusal(cpus=3)
            alice.admission_refusal(cpus=3)
        assert locker_of(path) == supervisor


# -- drain marks ----------------------------------------------------------------------------------


def test_root_drains_a_node_for_everyone_until_it_resumes(node: Node) -> None:
    with node.client() as root, node.client(ALICE) as alice:
        parsed = root.ask_node("drain", reason="disk", by="carol", until=None)
        assert parsed == {"ev": "drained", "path": f"{node.base}/clbalance-0/drain"}
        mark = json.loads((node.home() / "drain").read_text())
        assert abs(mark.pop("at") - time.time()) < 60
        assert mark == {"v": 1, "reason": "disk", "by": "carol", "until": None}
        assert (node.home() / "drain").stat().st_mode & 0o7777 == 0o1644
        for client in (root, alice):
            assert client.admission_refusal() == ("drained", "disk (by carol as root)")
        assert root.ask_node("resume") == {"ev": "resumed", "was": True}
        assert root.ask_node("resume") == {"ev": "resumed", "was": False}
        alice.admit(cpus=4)


def test_anybody_elses_drain_mark_binds_only_himself(node: Node) -> None:
    with node.client(ALICE) as alice, node.client(BOB) as bob, node.client() as root:
        alice.ask_node("drain", reason="mine", by="", until=None)
        assert alice.admission_refusal() == ("drained", f"mine (by uid {ALICE})")
        bob.admit(cpus=1)
        root.admit(cpus=1)


def test_an_administrators_drain_mark_binds_everyone(node: Node) -> None:
    nobody = 65534
    node.admins.write_text("# on duty\n\n nobody \nsomebody\n")
    with node.client(nobody) as admin, node.client(BOB) as bob:
        admin.ask_node("drain", reason="burning", by="nobody", until=None)
        assert bob.admission_refusal(cpus=1) == ("drained", "burning (by nobody)")


def others_file(path: Path) -> None:
    os.chown(path, ALICE, ALICE)


def writable_file(path: Path) -> None:
    path.chmod(0o666)


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def no_file(path: Path) -> None:
    path.unlink()


def too_long(path: Path) -> None:
    path.write_text("nobody\n" + "x" * (64 << 10))


@pytest.mark.parametrize("spoil", [others_file, writable_file, fifo, no_file, too_long])
def test_a_list_of_administrators_that_is_too_long_or_not_roots_names_none(
    node: Node, spoil: Callable[[Path], None]
) -> None:
    node.admins.write_text("nobody\n")
    spoil(node.admins)
    node.mark("drain", b"{}", 65534)
    with node.client(BOB) as bob:
        bob.admit(cpus=1)


def drain_text(**changes: object) -> bytes:
    return json.dumps({"v": 1, "reason": "x", "by": "root", "at": 1, "until": None} | changes).encode()


@pytest.mark.parametrize(
    "content",
    [b"", b"no", b"[]", b"{}", drain_text(reason="y" * 1024), drain_text(until="soon"), drain_text(until=float("nan"))],
    ids=["empty", "no JSON", "no object", "nothing in it", "too long", "a word for a time", "NaN"],
)
def test_a_drain_mark_that_cannot_be_read_counts(node: Node, content: bytes) -> None:
    node.mark("drain", content, 0)
    with node.client() as client:
        assert client.admission_refusal() == ("drained", "unreadable (by root)")


def test_a_drain_mark_that_nobody_may_open_counts(node: Node) -> None:
    node.mark("drain", drain_text(), 0).chmod(0o600)
    with node.client(ALICE) as alice:
        assert alice.admission_refusal() == ("drained", "unreadable (by root)")


def test_a_drain_mark_counts_until_its_time(node: Node) -> None:
    with node.client() as client:
        client.ask_node("drain", reason="short", by="root", until=time.time() + 3600)
        kind, reason = client.admission_refusal()
        assert (kind, reason[:28]) == ("drained", "short (by root, for another ")
        client.ask_node("drain", reason="over", by="root", lasts_s=0.001)
        client.admit(cpus=4)


def test_how_long_a_drain_mark_lasts_is_counted_by_the_nodes_own_clock(node: Node) -> None:
    with node.client() as client:
        client.ask_node("drain", reason="short", by="root", lasts_s=300.0)
        mark = json.loads((node.home() / "drain").read_text())
        assert abs(mark["until"] - mark["at"] - 300.0) < 1.0


def test_a_drain_mark_that_would_be_over_at_once_is_refused_with_the_nodes_time_and_replaces_none(node: Node) -> None:
    with node.client() as client:
        client.ask_node("drain", reason="before", by="root", until=None)
        propose(client)
        for key in ("", KEY):
            parsed = client.ask_node("drain", key=key, reason="x", by="root", until=time.time() - 1)
            year = time.strftime("%Y-", time.gmtime())
            assert parsed["ev"] == "error"
            assert parsed["why"].startswith(f"drain: it would be over at once: this node's clock says {year}")
        assert json.loads((node.home() / "drain").read_text())["reason"] == "before"
        assert "asked_at" in json.loads((node.home() / f"drain-{KEY}").read_text())


def test_a_drain_leaves_what_runs_alone(node: Node) -> None:
    with node.client() as client:
        job = client.admit(cpus=1)
        client.ask_node("drain", reason="x", by="root", until=None)
        client.ask("start", job, spec={"argv": ["sleep", "600"]})
        assert not gone([client.until("started", job)["pid"]], 0)


def test_a_drain_mark_that_would_be_too_long_is_told(node: Node) -> None:
    with node.client() as client:
        parsed = client.ask_node("drain", reason="ä" * 1000, by="root", until=None)
        assert parsed == {"ev": "error", "why": "drain: a mark of more than 1024 bytes; make `reason` shorter"}
        client.admit()


# -- proposals ------------------------------------------------------------------------------------

KEY, OTHER = "ab" * 16, "cd" * 16


def propose(client: AgentClient, key: str = KEY, *, lasts_s: float = 3600.0) -> dict[str, object]:
    return client.ask_node("propose", key=key, asked_at=5.0, lasts_s=lasts_s, reason="disk", by="root")


def marks_in(node: Node) -> list[str]:
    return sorted(path.name for path in node.home().glob("drain*"))


def test_a_proposal_keeps_work_off_and_leaves_the_mark_alone_that_was_there(node: Node) -> None:
    with node.client() as client:
        client.ask_node("drain", reason="before", by="root", until=None)
        before = (node.home() / "drain").read_text()
        assert propose(client) == {"ev": "drained", "path": f"{node.base}/clbalance-0/drain-{KEY}"}
        assert client.ask_node("resume", key=KEY) == {"ev": "resumed", "was": True}
        assert (marks_in(node), (node.home() / "drain").read_text()) == (["drain"], before)
        client.ask_node("resume")
        propose(client)
        kind, reason = client.admission_refusal()
        assert (kind, reason[:36]) == ("drained", "proposed: disk (by root, for another")


def test_a_proposal_ends_by_the_nodes_own_clock(node: Node) -> None:
    with node.client() as client:
        propose(client, lasts_s=0.0)
        client.admit(cpus=1)
        mark = json.loads((node.home() / f"drain-{KEY}").read_text())
        assert (mark["asked_at"], mark["until"] - mark["at"] < 1.0) == (5.0, True)


def test_a_proposal_is_made_firm_while_it_lasts_and_not_after(node: Node) -> None:
    with node.client() as client:
        propose(client)
        parsed = client.ask_node("drain", key=KEY, reason="disk", by="root", until=None)
        assert parsed["path"] == f"{node.base}/clbalance-0/drain-{KEY}"
        assert client.admission_refusal() == ("drained", "disk (by root)")
        propose(client, OTHER, lasts_s=0.0)
        for key in (OTHER, "ef" * 16):
            parsed = client.ask_node("drain", key=key, reason="disk", by="root", until=None)
            assert parsed == {"ev": "error", "why": "the proposal has ended"}


def test_a_mark_takes_the_place_of_those_that_are_firm_and_no_word_ends_anothers_proposal(node: Node) -> None:
    with node.client() as client:
        for key in (KEY, OTHER):
            propose(client, key)
        client.ask_node("drain", key=KEY, reason="disk", by="root", until=None)
        client.ask_node("drain", reason="disk", by="root", until=None)
        assert marks_in(node) == ["drain", f"drain-{OTHER}"]
        assert client.ask_node("resume") == {"ev": "resumed", "was": True}
        assert marks_in(node) == [f"drain-{OTHER}"]


def test_the_next_proposal_takes_away_those_that_have_ended(node: Node) -> None:
    with node.client() as client:
        propose(client, lasts_s=0.0)
        propose(client, OTHER)
        assert marks_in(node) == [f"drain-{OTHER}"]


def test_many_proposals_hide_no_lease_of_the_same_user(node: Node) -> None:
    with node.client(ALICE) as alice, node.client() as client:
        alice.admit(cpus=4)
        for number in range(300):
            node.mark(f"drain-{number:032x}", drain_text(until=1), ALICE)
        assert client.admission_refusal(cpus=1)[0] == "cpus"


@pytest.mark.parametrize("op", ["drain", "resume"])
def test_a_node_without_a_folder_is_told_and_the_agent_lives_on(tmp_path: Path, op: str) -> None:
    fields = {"reason": "x", "by": "x"} if op == "drain" else {}
    with AgentClient(tmp_path / "missing") as client:
        for _ in range(2):
            parsed = client.ask_node(op, **fields)
            assert parsed == {"ev": "error", "why": f"{tmp_path}/missing: No such file or directory"}
