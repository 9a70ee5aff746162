"""Folders that users have filled: no lease is hidden, nobody else waits long, and who fills the node is named."""

import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.node.agent_client import AgentClient, new_job
from tests.node.nodes import ALICE, BOB, Node, fill, lease_text, locked
from tests.waiting import eventually

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]

CAROL = 4_000_001  # her folder's name is among none that the tests make
MANY = int(os.environ.get("CLBALANCE_ENTRIES", "1000"))
LIMITS = {"SQUATS_RELISTED": min(4096, MANY // 2)}
"""Fewer than there are entries, as many as the agent has it for more of them."""
ADDED_S = 30.0  # which a busy machine takes from the shortest of three only where it has no processor for minutes


def seconds_to_admit(client: AgentClient) -> float:
    """The shortest of three: other tests run beside this one."""
    times = []
    for _ in range(3):
        began = time.monotonic()
        job = client.admit()
        times.append(time.monotonic() - began)
        client.ask("end", job, grace_s=0, why="")
        assert client.until_refused(job)
    return min(times)


def forge(node: Node, uid: int, count: int, **lease: object) -> list[Path]:
    return [node.mark("lease-" + new_job(), lease_text(**lease), uid) for _ in range(count)]


FILLED = {
    "files": ("files", "{base}", "x%d"),
    "names of homes that are no folders": ("files", "{base}", "clbalance-9%d"),
    "names of other users' homes": ("folders", "{base}", "clbalance-%d"),
    "files in a home": ("files", "{home}", "x%d"),
    "leases": ("files", "{home}", "lease-%032d.1"),
    "drain marks": ("files", "{home}", "drain-%032d"),
}


@pytest.mark.parametrize("what", FILLED)
def test_what_a_user_fills_the_node_with_hides_no_lease_and_delays_nobody(node: Node, what: str) -> None:
    how, folder, name = FILLED[what]
    node.limits = LIMITS
    with node.client(BOB) as bob, node.client() as client:
        empty_s = seconds_to_admit(client)
        # Where other names come first, and where they come last.
        bob.admit(cpus=1)
        fill(how, Path(folder.format(base=node.base, home=node.make_home(ALICE))), name, MANY, uid=ALICE)
        with locked("write", *forge(node, CAROL, 1, cpus=2.0), uid=CAROL):
            refused = client.admission_refusal(cpus=2)
            assert refused[1].endswith(f"leased: uid {BOB} 1, uid {CAROL} 2")
            assert seconds_to_admit(client) < empty_s + ADDED_S


def test_a_drain_of_roots_binds_among_many_entries(node: Node) -> None:
    node.limits = LIMITS
    fill("folders", node.base, "clbalance-%d", MANY, uid=ALICE)
    with node.client() as root, node.client(BOB) as bob:
        root.ask_node("drain", reason="disk", by="root", until=None)
        assert bob.admission_refusal(cpus=1) == ("drained", "disk (by root)")


def test_every_lease_of_one_user_counts(node: Node) -> None:
    paths = forge(node, ALICE, 380, cpus=0.01)
    with locked("write", *paths, uid=ALICE), node.client() as client:
        assert client.admission_refusal(cpus=1)[1].endswith(f"leased: uid {ALICE} 3.8")
        client.admit(cpus=0.2)


def test_a_user_gets_no_lease_beyond_those_that_are_counted_and_others_get_theirs(node: Node) -> None:
    node.limits = {"LEASES_OF_ONE": 20}
    with ExitStack() as stack:
        stack.enter_context(locked("write", *forge(node, ALICE, 19, cpus=0.01), uid=ALICE))
        alice, bob = (stack.enter_context(node.client(uid)) for uid in (ALICE, BOB))
        alice.admit(cpus=0.01)
        assert alice.admission_refusal() == ("leases", "you hold 20 leases on this node, the most of one user")
        bob.admit(cpus=3.8)


def test_who_holds_more_leases_than_are_counted_holds_the_whole_node(node: Node) -> None:
    node.limits = {"LEASES_OF_ONE": 20}
    paths = forge(node, ALICE, 21, cpus=0.01)
    with node.client(BOB) as bob:
        with locked("write", *paths, uid=ALICE):
            assert bob.admission_refusal(cpus=1) == (
                "exclusive",
                f"the whole node is taken; leased: uid {ALICE} more than 20 leases",
            )
        bob.admit(cpus=4)


def test_many_void_leases_of_ours_go_at_the_next_admission(node: Node) -> None:
    void = forge(node, BOB, 600)
    with node.client(BOB) as bob:
        bob.admit(cpus=4)
        assert not any(path.exists() for path in void)


PIECES = """
import fcntl, sys
file = open(sys.argv[1], "r+")
for start in range(0, 2 * int(sys.argv[2]), 2):
    fcntl.lockf(file, fcntl.LOCK_EX, 1, start)
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lease_in_many_locked_pieces_and_leases_that_nobody_may_open_delay_nobody(node: Node) -> None:
    """Each of those leases is looked up in /proc/locks, which the pieces make long."""
    (pieces, *closed) = forge(node, ALICE, 300, cpus=1.0)
    for path in closed:
        path.chmod(0o600)
    words = ["setpriv", f"--reuid={ALICE}", f"--regid={ALICE}", "--clear-groups", "--"]
    words += ["/usr/bin/python3", "-c", PIECES, str(pieces), str(max(600, MANY // 10))]
    with node.client(BOB) as bob:
        empty_s = seconds_to_admit(bob)
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            assert bob.admission_refusal(cpus=4)[1].endswith(f"leased: uid {ALICE} 1")
            assert seconds_to_admit(bob) < empty_s + ADDED_S
            holder.kill()


# -- beyond the bounds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "how", "name", "what"),
    [
        ("LISTED", "files", "x%d", "more than 1000 entries"),
        ("SQUATS", "folders", "clbalance-%d", "more than 1000 folders with the names of other users' folders"),
    ],
)
def test_a_node_folder_that_is_too_full_refuses_all_jobs_and_names_who_fills_it(
    node: Node, limit: str, how: str, name: str, what: str
) -> None:
    node.limits = {limit: 1000}
    with node.client(BOB) as bob:
        fill(how, node.base, name, 990, uid=ALICE)
        bob.admit(cpus=1)
        fill(how, node.base, name, 20, first=991, uid=ALICE)
        assert bob.admission_refusal() == ("node_dir", f"{node.base} has {what}, most of them of uid {ALICE}")


def test_who_fills_his_own_homes_is_refused_and_beyond_the_bound_so_is_everyone(node: Node) -> None:
    node.limits = {"FILES_RELISTED": 100, "FILES_OF_ONE": 1000}
    home = node.make_home(ALICE)
    second = node.home(ALICE).with_name(f"clbalance-{ALICE}-1")
    second.mkdir()
    os.chown(second, ALICE, ALICE)
    with node.client(ALICE) as alice, node.client(BOB) as bob:
        alice.admit(cpus=1)
        fill("files", second, "x%d", 100, uid=ALICE)
        kind, reason = alice.admission_refusal()
        # Which of the two is told depends on the order in which the file system lists them.
        told = {f"your folder {one} has more than 100 files" for one in (home, second)}
        assert (kind, reason.partition(":")[0] in told) == ("node_dir", True), reason
        assert bob.admission_refusal(cpus=4)[1].endswith(f"leased: uid {ALICE} 1")
        bob.admit(cpus=1)
        fill("files", second, "y%d", 1000, uid=ALICE)
        told = {f"uid {ALICE} has more than 1000 files in {one}" for one in (home, second)}
        kind, reason = bob.admission_refusal()
        assert (kind, reason in told) == ("node_dir", True), reason


def test_too_many_files_of_all_users_together_are_told_with_the_user_who_has_most(node: Node) -> None:
    node.limits = {"FILES_OF_ALL": 100}
    fill("files", node.make_home(ALICE), "x%d", 60, uid=ALICE)
    fill("files", node.make_home(CAROL), "x%d", 41, uid=CAROL)
    with node.client(BOB) as bob:
        assert bob.admission_refusal() == (
            "node_dir",
            f"the users' folders have more than 100 files, most of them of uid {ALICE}",
        )


def test_who_squats_on_names_is_named_and_not_who_has_more_other_entries(node: Node) -> None:
    fill("files", node.base, "x%d", 1500, uid=CAROL)
    fill("folders", node.base, "clbalance-%d", 1001, uid=ALICE)
    node.limits = {"SQUATS": 1000}
    with node.client(BOB) as bob:
        assert bob.admission_refusal()[1].endswith(f"most of them of uid {ALICE}")


def test_who_changes_a_full_folder_all_the_time_is_named(node: Node) -> None:
    node.limits = {"RELISTED": 100}
    fill("files", node.base, "x%d", 101, uid=ALICE)
    loop = f"while :; do mkdir {node.base}/y; rmdir {node.base}/y; done"
    what = "changes all the time, and has too many entries to be listed as often, most of them of uid"
    with node.client(BOB) as bob, subprocess.Popen(["nice", "-n", "-9", "busybox", "sh", "-c", loop]) as changing:
        try:
            # Where the loop had no processor for a moment, nothing has changed, and the job is admitted.
            assert eventually(lambda: refusal_of(bob)) == ("node_dir", f"{node.base} {what} {ALICE}")
        finally:
            changing.kill()


def refusal_of(client: AgentClient) -> tuple[str, str] | None:
    """Kind and words of a refusal; None if it is an admission, which is given back."""
    job = client.ask_admission()
    answer = client.answer()
    if answer["ev"] == "admitted":
        client.ask("end", job, grace_s=0, why="")
        client.until_refused(job)
        return None
    return answer["kind"], answer["why"]


def test_more_users_than_can_be_looked_at_are_told(node: Node) -> None:
    node.limits = {"HOMES": 10}
    for uid in range(20_000, 20_011):
        node.make_home(uid)
    with node.client() as client:
        assert client.admission_refusal() == ("node_dir", f"{node.base} has the folders of more than 10 users")


# -- what changes between the look and the lock ---------------------------------------------------


@pytest.mark.parametrize("limits", [{}, {"RELISTED": 0}], ids=["a short folder", "a long one"])
def test_a_new_users_lease_that_was_granted_while_we_waited_for_the_lock_counts(
    node: Node, limits: dict[str, int]
) -> None:
    node.limits = limits
    with node.client(BOB) as bob:
        bob.until("hello")
        with locked("flock", node.base):
            job = bob.ask_admission(cpus=2)
            bob.until("claimed", job)
            # It has listed the folder, and waits for the lock.
            assert bob.line(0.3) is None
            (path,) = forge(node, ALICE, 1, cpus=3.0)
            holder = locked("write", path, uid=ALICE)
            holder.__enter__()
        assert bob.until_refused(job)["why"].endswith(f"leased: uid {ALICE} 3")
        holder.__exit__(None, None, None)


def test_a_lease_granted_to_who_had_too_many_files_before_counts(node: Node) -> None:
    node.limits = {"FILES_RELISTED": 100}
    home = node.make_home(ALICE)
    fill("files", home, "x%d", 101, uid=ALICE)
    with node.client(BOB) as bob:
        bob.until("hello")
        with ExitStack() as held:
            with locked("flock", node.base):
                job = bob.ask_admission(cpus=2)
                bob.until("claimed", job)
                assert bob.line(0.3) is None  # waits for the lock
                (home / "x1").unlink()
                (home / "x2").unlink()
                held.enter_context(locked("write", *forge(node, ALICE, 1, cpus=3.0), uid=ALICE))
            assert bob.until_refused(job)["why"].endswith(f"leased: uid {ALICE} 3")


# -- leases that cannot be looked at ---------------------------------------------------------------

NEW_PIDS = ("unshare", "--pid", "--mount-proc", "--fork", "--kill-child")


def test_every_lease_held_from_another_pid_namespace_counts(node: Node) -> None:
    """/proc/locks shows none of them."""
    node.limits = {"LEASES_OF_ONE": 20}
    paths = forge(node, ALICE, 40, cpus=0.05)
    with node.client(BOB, inside=NEW_PIDS) as bob:
        with locked("write", *paths, uid=ALICE):
            assert bob.admission_refusal(cpus=3)[1].endswith(f"leased: uid {ALICE} 2")
        bob.admit(cpus=4)


def test_who_has_more_files_than_can_be_tested_holds_the_whole_node(node: Node) -> None:
    node.limits = {"LEASES_OF_ONE": 20, "FILES_RELISTED": 50}
    forge(node, ALICE, 51)
    with node.client(BOB, inside=NEW_PIDS) as hidden, node.client(BOB) as bob:
        assert hidden.admission_refusal(cpus=1)[1].endswith(f"leased: uid {ALICE} more than 20 leases")
        bob.admit(cpus=4)


def test_who_closes_his_folder_holds_the_whole_node_while_he_may_hold_a_lease(node: Node) -> None:
    paths = forge(node, ALICE, 1, cpus=1.0)
    node.home(ALICE).chmod(0o700)
    with node.client(BOB) as bob:
        bob.admit(cpus=1)
        with locked("write", *paths, uid=ALICE):
            assert bob.admission_refusal(cpus=1) == (
                "exclusive",
                f"the whole node is taken; leased: uid {ALICE} a folder that others cannot read",
            )
        bob.admit(cpus=1)


def test_a_folder_that_is_closed_while_we_wait_for_the_lock_hides_no_lease(node: Node) -> None:
    with node.client(BOB) as bob, locked("write", *forge(node, ALICE, 1, cpus=3.0), uid=ALICE):
        bob.until("hello")
        with locked("flock", node.base):
            job = bob.ask_admission(cpus=2)
            bob.until("claimed", job)
            assert bob.line(0.3) is None
            node.home(ALICE).chmod(0o700)
        assert bob.until_refused(job)["why"].endswith("a folder that others cannot read")


# -- a folder that root has prepared --------------------------------------------------------------


@pytest.fixture
def prepared(node: Node) -> Node:
    """As docs/design/leases.md says: root's folder, and in it one for each user."""
    node.base.chmod(0o755)
    for uid in (ALICE, BOB):
        subprocess.run(["install", "-d", "-o", str(uid), "-m", "755", str(node.home(uid))], check=True)
    (node.base / "limits").mkdir()
    return node


def test_in_a_prepared_folder_users_run_jobs_and_see_each_others_leases(prepared: Node) -> None:
    with prepared.client(ALICE) as alice, prepared.client(BOB) as bob, prepared.client() as root:
        assert prepared.lease_of(alice.admit(cpus=3)).parent == prepared.home(ALICE)
        for client in (bob, root):
            assert client.admission_refusal(cpus=2)[1].endswith(f"leased: uid {ALICE} 3")
        root.ask_node("drain", reason="disk", by="root", until=None)
        assert bob.admission_refusal() == ("drained", "disk (by root)")


def test_a_user_without_a_folder_in_a_prepared_one_is_told_what_root_must_type(prepared: Node) -> None:
    stranger = ALICE + 7
    with prepared.client(stranger) as client:
        make = f"`install -d -o {stranger} -m 755 {prepared.home(stranger)}`"
        assert client.admission_refusal() == (
            "node_dir",
            f"{prepared.base} has no folder for uid {stranger}, who may not make one; as root there: {make}",
        )


def test_a_folder_in_a_prepared_one_that_others_may_write_to_is_not_told_as_missing(prepared: Node) -> None:
    prepared.home(ALICE).chmod(0o775)
    with prepared.client(ALICE) as client:
        make = f"`install -d -o {ALICE} -m 755 {prepared.home(ALICE)}`"
        what = f"has no folder that only uid {ALICE} can write to, who may not make one"
        assert client.admission_refusal() == ("node_dir", f"{prepared.base} {what}; as root there: {make}")


def test_a_prepared_home_that_others_cannot_read_is_opened_for_them(prepared: Node) -> None:
    prepared.home(ALICE).chmod(0o700)
    with prepared.client(ALICE) as alice, prepared.client(BOB) as bob:
        alice.admit(cpus=3)
        assert bob.admission_refusal(cpus=2)[1].endswith(f"leased: uid {ALICE} 3")


MOUNTED = """
mount -t tmpfs none /var/lib && mkdir /var/lib/clbalance && mount --bind "$1" /var/lib/clbalance &&
mount --bind "$2" /var/tmp && shift 2 && exec "$@"
"""


def test_leases_from_before_the_folder_was_prepared_count_and_what_fills_var_tmp_does_not(prepared: Node) -> None:
    node = prepared
    node.limits = {"LISTED": 1000}
    usual = node.base.with_name("usual")
    usual.mkdir()
    usual.chmod(0o1777)
    inside = ("unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(node.base), str(usual))
    fill("files", usual, "x%d", 1001, uid=ALICE)
    old = usual / f"clbalance-{ALICE}-1"
    node.home(ALICE).rename(old)
    (path,) = forge(node, ALICE, 1, cpus=3.0)
    path = path.rename(old / path.name)
    with (
        node.client(BOB, inside=inside, CLBALANCE_NODE_DIR="") as bob,
        locked("write", path, uid=ALICE),
    ):
        assert bob.until("hello")["node_dir"] == "/var/lib/clbalance"
        assert bob.admission_refusal(cpus=2)[1].endswith(f"leased: uid {ALICE} 3")
        bob.admit(cpus=1)


def test_a_drain_of_roots_from_before_the_folder_was_prepared_binds(prepared: Node) -> None:
    usual = prepared.base.with_name("usual")
    old = usual / "clbalance-0-2"
    old.mkdir(parents=True)
    old.joinpath("drain").write_text('{"v":1,"reason":"disk","by":"root","at":1764000000,"until":null}')
    inside = ("unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(prepared.base), str(usual))
    with prepared.client(BOB, inside=inside, CLBALANCE_NODE_DIR="") as bob:
        assert bob.admission_refusal() == ("drained", "disk (by root)")
