"""A job is kept within its limits, and how is told; by real processes, and a `systemd-run` of our own."""

import json
import os
import pwd
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node.agent_client import NOTHING, AgentClient, new_job
from tests.node.lives import Lives, collect
from tests.node.nodes import Node
from tests.waiting import SOON_S, eventually

MIB = 1 << 20
TWO_CPUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one cpu cannot be divided")

TAKE = """
import os, signal, sys, time
size, how = int(sys.argv[1]) << 20, sys.argv[2]
if "stubborn" in how:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
kept = bytearray(b"x") * size
print("taken", flush=True)
for _ in range(3 if "fork" in how else 0):
    if os.fork() == 0:
        break
time.sleep(30 if "stay" in how else 1.5)
"""


@pytest.fixture
def take(node: Node) -> str:
    """A shell word that takes so many MiB."""
    program = node.base / "take.py"
    program.write_text(TAKE)
    return f"{sys.executable} -I -S {program}"


def begin(client: AgentClient, script: str, *, tasks: bool = False, **asked: Any) -> tuple[str, dict[str, Any]]:
    """A job with these limits, and what its start told."""
    spec = asked.pop("spec", {})
    job = new_job()
    client.ask("claim", job)
    client.ask("admit", job, lease={**NOTHING, **asked}, capacity={"cpus": 99, "slots": None}, tasks=tasks)
    client.until("admitted", job)
    client.ask("start", job, spec={"argv": ["sh", "-c", script], "chdir": "/", "tied": True, **spec})
    return job, client.until("started", job)


@pytest.fixture
def client(node: Node) -> Iterator[AgentClient]:
    with node.client() as agent:
        agent.until("hello")
        yield agent


def finished(client: AgentClient, script: str, **asked: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What it printed, what its start told, what its end told."""
    job, started = begin(client, script, **asked)
    stdout, _, ended = collect(client, job)
    return stdout.decode(), started, ended


# -- cpus ------------------------------------------------------------------------------------------


@TWO_CPUS
def test_a_limit_of_cpus_binds_the_job_to_those_that_its_lease_names(client: AgentClient, node: Node) -> None:
    script = 'nproc; taskset -cp $$ | sed "s/.*: //"; (setsid sh -c "nproc" &) ; cat ../../lease-$CLBALANCE_JOB_KEY'
    stdout, started, ended = finished(client, f'cd "$CLBALANCE_JOB_DIR"; {script}; sleep 0.2', cpus=1, limit_cpus=1)
    ours = sorted(os.sched_getaffinity(0))
    assert stdout.split()[:2] == ["1", str(ours[0])]
    assert started["limits"] == [f"bound to cpu {ours[0]}"]
    assert started["warnings"] == []
    assert f'"cpu_ids": "{ours[0]}"' in stdout
    assert ended["end"] == {"kind": "exited", "rc": 0}


@TWO_CPUS
def test_two_jobs_with_limits_are_bound_to_different_cpus(client: AgentClient) -> None:
    parts = [begin(client, "sleep 30", cpus=1, limit_cpus=1)[1]["limits"] for _ in range(2)]
    assert parts[0] != parts[1]


@TWO_CPUS
def test_a_fraction_is_bound_to_the_next_whole_number_and_that_is_told(client: AgentClient) -> None:
    stdout, started, _ = finished(client, "nproc", cpus=0.5, limit_cpus=0.5)
    assert stdout == "1\n"
    assert "bound to cpu" in started["limits"][0]
    assert [warning.split(":")[0] for warning in started["warnings"]] == [
        "cpu limit 0.5 not enforced, only whole cpus are"
    ]


def test_a_limit_beyond_what_there_is_binds_to_nothing(client: AgentClient) -> None:
    stdout, started, _ = finished(client, "nproc", limit_cpus=64)
    assert (int(stdout), started["warnings"]) == (len(os.sched_getaffinity(0)), [])
    assert started["limits"] == [f"cpu limit: all {len(os.sched_getaffinity(0))} cpus of the node"]


def test_who_is_not_limited_is_told_nothing(client: AgentClient) -> None:
    stdout, started, _ = finished(client, "nproc", cpus=1)
    assert (int(stdout), started["limits"]) == (len(os.sched_getaffinity(0)), [])


@TWO_CPUS
def test_a_slots_tasks_are_bound_likewise(client: AgentClient) -> None:
    job, started = begin(client, 'eval "$0"', tasks=True, cpus=1, limit_cpus=1)
    client.ask("tasks", job, tasks=[[n, ["nproc"]] for n in range(3)])
    client.ask("finish", job)
    stdout, _, _ = collect(client, job)
    assert stdout == b"1\n1\n1\n"
    assert "bound to cpu" in started["limits"][0]


# -- memory, by looking ----------------------------------------------------------------------------


def test_what_takes_more_memory_than_its_limit_is_ended_so(client: AgentClient, take: str) -> None:
    stdout, started, ended = finished(client, f"exec {take} 96 stay", limit_mem_bytes=48 * MIB)
    assert stdout in {"", "taken\n"}  # it may be looked at while it still takes more, or before it says so
    assert started["limits"][0].startswith("memory limit 48 MiB, checked every 0.5 s (no scope: ")
    end = ended["end"]
    assert (end["kind"], end["limit_bytes"]) == ("out_of_memory", 48 * MIB)
    assert 48 * MIB < end["used_bytes"] < 160 * MIB
    assert ended["seconds"] < SOON_S


def test_what_stays_within_its_limit_is_let_be(client: AgentClient, take: str) -> None:
    _, _, ended = finished(client, f"exec {take} 64 once", limit_mem_bytes=128 * MIB)
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_pages_that_forked_processes_share_count_once(client: AgentClient, take: str) -> None:
    _, _, ended = finished(client, f"exec {take} 96 fork", limit_mem_bytes=160 * MIB)
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_what_left_its_session_and_its_parent_counts_and_goes_too(client: AgentClient, take: str, node: Node) -> None:
    script = f"(setsid {take} 64 stay &) ; (setsid {take} 64 stay &) ; sleep 30"
    job, _ = begin(client, script, limit_mem_bytes=100 * MIB)
    _, _, ended = collect(client, job)
    assert ended["end"]["kind"] == "out_of_memory"
    assert ended["warnings"] == []
    eventually(lambda: not any("take.py" in words for words in command_lines(node)))


def command_lines(node: Node) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(node.base) in words:
            found.append(words)
    return found


def test_one_that_is_far_beyond_is_not_waited_for(client: AgentClient, take: str) -> None:
    _, _, ended = finished(client, f"exec {take} 128 stay-stubborn", limit_mem_bytes=32 * MIB, spec={"grace_s": 600.0})
    assert ended["end"]["kind"] == "out_of_memory"
    assert ended["seconds"] < SOON_S


def test_one_that_is_a_little_beyond_has_its_grace(client: AgentClient, node: Node, take: str) -> None:
    script = f"trap 'echo saved; exit 0' TERM; {take} 64 stay & wait"
    stdout, _, ended = finished(client, script, limit_mem_bytes=60 * MIB, spec={"grace_s": 200.0})
    assert "saved" in stdout
    assert ended["end"]["kind"] == "out_of_memory"


def test_a_task_that_takes_too_much_is_ended_and_the_next_one_runs(client: AgentClient, take: str) -> None:
    job, started = begin(client, 'eval "$0"', tasks=True, limit_mem_bytes=48 * MIB)
    client.ask("tasks", job, tasks=[[0, [f"exec {take} 96 stay"]], [1, ["echo next"]]])
    client.ask("finish", job)
    client.output[job, "log"] = bytearray()
    stdout, _, _ = collect(client, job, streams=["stdout", "stderr", "log"])
    ends = [entry[2] for entry in map(json.loads, client.output[job, "log"].splitlines()) if entry[0] == "e"]
    assert stdout == b"taken\nnext\n"
    assert [end["kind"] for end in ends] == ["out_of_memory", "exited"]
    assert "not used for slots" in started["limits"][0]


def test_the_end_is_on_disk_for_whoever_settles_it(jobs: Lives, take: str) -> None:
    agent = jobs.agent()
    claim = jobs.claim(agent)
    agent.ask(
        "admit",
        claim.job,
        lease={**NOTHING, "limit_mem_bytes": 48 * MIB},
        capacity={"cpus": None, "slots": None},
    )
    agent.until("admitted", claim.job)
    agent.ask("start", claim.job, spec={"argv": ["sh", "-c", f"exec {take} 96 stay"], "chdir": "/"})
    agent.until("started", claim.job)
    settled = eventually(lambda: (parsed := jobs.settle(claim))["state"] == "ended" and parsed)
    assert settled["record"]["end"]["kind"] == "out_of_memory"


# -- memory, by a scope ----------------------------------------------------------------------------

SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" > '{log}'
{how}
while [ "$1" != -- ]; do shift; done
shift
exec "$@"
"""


class Systemd:
    """A root folder as systemd would have it, and a `systemd-run` that makes no cgroup but a folder's files."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.root = node.base / "rootfs"
        self.bin = node.base / "bin"
        self.log = node.base / "asked"
        place = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        self.cgroup = Path(f"{self.root}/sys/fs/cgroup{place}")
        for folder in (self.bin, self.root / "run/systemd/system", self.root / "run/me/systemd", self.cgroup):
            folder.mkdir(parents=True)
        (self.root / "var/lib/systemd/linger").mkdir(parents=True)
        (self.root / "run/me/systemd/private").touch()
        self.lingers(True)
        self.does("")

    def lingers(self, lingers: bool) -> None:
        mark = self.root / "var/lib/systemd/linger" / pwd.getpwuid(os.geteuid()).pw_name
        mark.touch() if lingers else mark.unlink()

    def does(self, how: str) -> None:
        program = self.bin / "systemd-run"
        program.write_text(SYSTEMD_RUN.format(log=self.log, how=how))
        program.chmod(0o755)

    def says(self, **files: str) -> None:
        for name, text in files.items():
            (self.cgroup / name.replace("_", ".")).write_text(text)

    @property
    def env(self) -> dict[str, str]:
        return {
            "CLBALANCE_ROOTFS": str(self.root),
            "XDG_RUNTIME_DIR": str(self.root / "run/me"),
            "PATH": f"{self.bin}:{os.environ['PATH']}",
        }


@pytest.fixture
def systemd(node: Node) -> Systemd:
    if not any(line.startswith("0::") for line in Path("/proc/self/cgroup").read_text().splitlines()):
        pytest.skip("no unified cgroups here")
    return Systemd(node)


@pytest.fixture
def scoped(node: Node, systemd: Systemd) -> Iterator[AgentClient]:
    with node.client(**systemd.env) as agent:
        agent.until("hello")
        yield agent


def untied(client: AgentClient, script: str, **asked: Any) -> tuple[str, str, dict[str, Any], dict[str, Any]]:
    spec = {"tied": False, **asked.pop("spec", {})}
    job, started = begin(client, script, spec=spec, **asked)
    stdout, stderr, ended = collect(client, job)
    return stdout.decode(), stderr.decode(), started, ended


def test_a_scope_is_asked_for_by_its_properties_and_becomes_the_job(scoped: AgentClient, systemd: Systemd) -> None:
    systemd.says(memory_max=f"{48 * MIB}\n", cpu_max="150000 100000\n", memory_events="oom_kill 0\n")
    script = 'echo "$$ $(ps -o sid= -p $$ | tr -d " ") $A"; echo err >&2; exit 3'
    stdout, stderr, started, ended = untied(
        scoped, script, limit_mem_bytes=48 * MIB, limit_cpus=1.5, cpus=1.5, spec={"env": {"A": "käse"}}
    )
    asked = systemd.log.read_text().splitlines()
    assert asked[:5] == ["--user", "--scope", "--quiet", "--collect", asked[4]]
    assert asked[4].startswith("--unit=clbalance-")
    assert asked[5 : asked.index("--")] == [
        *("-p", f"MemoryMax={48 * MIB}", "-p", "MemorySwapMax=0", "-p", "CPUQuota=150%")
    ]
    assert stdout == f"{started['pid']} {started['pid']} käse\n"
    assert (stderr, ended["end"]) == ("err\n", {"kind": "exited", "rc": 3})
    assert started["warnings"] == []
    assert started["limits"][-2:] == ["cpu limit 1.5, enforced by cgroup", "memory limit 48 MiB, enforced by cgroup"]


def test_nothing_of_the_job_is_an_argument_of_systemd_run_and_all_of_it_arrives(
    scoped: AgentClient, systemd: Systemd
) -> None:
    words = ["s3cret", "", "x" * 100_000, "two\nlines", "y" * 100_000]
    count = "import os, sys; print(os.environ['TOKEN'], [len(word) for word in sys.argv[1:]])"
    spec = {"tied": False, "argv": [sys.executable, "-c", count, *words], "env": {"TOKEN": "s3cret"}}
    job, _ = begin(scoped, "", limit_mem_bytes=48 * MIB, spec=spec)
    stdout, stderr, ended = collect(scoped, job)
    assert (stderr, ended["end"]) == (b"", {"kind": "exited", "rc": 0})
    assert stdout.decode() == f"s3cret {[len(word) for word in words]}\n"
    asked = systemd.log.read_text()
    assert "--scope" in asked
    assert "s3cret" not in asked
    assert "xxx" not in asked


def test_the_environment_is_the_jobs_own_behind_the_door(scoped: AgentClient) -> None:
    stdout, _, _, _ = untied(scoped, "env", limit_mem_bytes=48 * MIB, spec={"env": {"PYTHONPATH": "x"}})
    names = {line.split("=")[0] for line in stdout.splitlines()}
    assert "LC_CTYPE" not in names
    assert {"PYTHONPATH", "CLBALANCE_JOB_KEY", "XDG_RUNTIME_DIR"} <= names


def test_a_program_that_is_not_there_is_refused_as_without_a_scope(scoped: AgentClient) -> None:
    job = new_job()
    scoped.ask("claim", job)
    scoped.ask(
        "admit", job, lease={**NOTHING, "limit_mem_bytes": MIB}, capacity={"cpus": None, "slots": None}, tasks=False
    )
    scoped.until("admitted", job)
    scoped.ask("put", job, file="script", data="IyEvbm8vc3VjaAo=")
    scoped.ask("start", job, spec={"script": {"name": "job.sh"}})
    parsed = scoped.until_refused(job)
    assert (parsed["rc"], parsed["why"]) == (127, "job.sh: bad interpreter /no/such: No such file or directory")


def test_a_kill_by_the_kernel_is_out_of_memory(scoped: AgentClient, systemd: Systemd) -> None:
    systemd.says(memory_max=f"{48 * MIB}\n", memory_events="low 0\noom 1\noom_kill 0\n")
    script = f"echo 'oom_kill 1' > {systemd.cgroup}/memory.events; kill -9 $$"
    _, _, _, ended = untied(scoped, script, limit_mem_bytes=48 * MIB)
    assert ended["end"] == {"kind": "out_of_memory", "limit_bytes": 48 * MIB, "used_bytes": None}


def test_a_job_that_does_well_without_what_was_killed_has_done_well(scoped: AgentClient, systemd: Systemd) -> None:
    systemd.says(memory_max=f"{48 * MIB}\n", memory_events="oom_kill 0\n")
    _, _, _, ended = untied(scoped, f"echo 'oom_kill 1' > {systemd.cgroup}/memory.events", limit_mem_bytes=48 * MIB)
    assert ended["end"] == {"kind": "exited", "rc": 0}


def test_a_kill_by_somebody_else_is_one(scoped: AgentClient, systemd: Systemd) -> None:
    systemd.says(memory_max=f"{48 * MIB}\n", memory_events="oom_kill 0\n")
    _, _, _, ended = untied(scoped, "kill -9 $$", limit_mem_bytes=48 * MIB)
    assert ended["end"] == {"kind": "killed", "signal": 9}


def test_a_scope_without_the_controller_is_watched(scoped: AgentClient, systemd: Systemd, take: str) -> None:
    systemd.says(memory_max="max\n")
    _, _, started, ended = untied(scoped, f"exec {take} 96 stay", limit_mem_bytes=48 * MIB)
    assert started["limits"] == ["memory limit 48 MiB, checked every 0.5 s (no scope: its cgroup cannot limit memory)"]
    assert ended["end"]["kind"] == "out_of_memory"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("echo 'Failed to connect to bus: No medium found' >&2; exit 1", "systemd-run: Failed to connect to bus"),
        ("exit 0", "systemd-run did not answer"),
        ("exec sleep 60", "systemd-run did not answer"),
        ("kill -9 $$", "systemd-run did not answer"),
    ],
    ids=["fails", "does nothing", "hangs", "dies"],
)
def test_without_a_scope_the_job_runs_once_and_is_watched(
    scoped: AgentClient, systemd: Systemd, how: str, reason: str
) -> None:
    systemd.does(how)
    stdout, stderr, started, ended = untied(scoped, "echo here; echo err >&2", limit_mem_bytes=48 * MIB)
    assert (stdout, stderr, ended["end"]) == ("here\n", "err\n", {"kind": "exited", "rc": 0})
    assert started["limits"][0].startswith(f"memory limit 48 MiB, checked every 0.5 s (no scope: {reason}")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda systemd: systemd.lingers(False), "you do not linger there (`loginctl enable-linger`)"),
        (lambda systemd: (systemd.root / "run/systemd/system").rmdir(), "systemd does not run there"),
        (lambda systemd: (systemd.root / "run/me/systemd/private").unlink(), "your own systemd does not run there"),
        (lambda systemd: (systemd.bin / "systemd-run").chmod(0o644), "there is no systemd-run"),
    ],
    ids=["no linger", "no systemd", "no user manager", "no systemd-run"],
)
def test_where_no_scope_can_be_had_none_is_asked_for(
    scoped: AgentClient, systemd: Systemd, spoil: Any, reason: str
) -> None:
    if reason == "there is no systemd-run" and Path("/usr/bin/systemd-run").exists():
        pytest.skip("there is another one")
    spoil(systemd)
    _, _, started, _ = untied(scoped, "true", limit_mem_bytes=48 * MIB)
    assert started["limits"] == [f"memory limit 48 MiB, checked every 0.5 s (no scope: {reason})"]
    assert not systemd.log.exists()


def test_a_tied_job_needs_no_lingering(scoped: AgentClient, systemd: Systemd) -> None:
    systemd.lingers(False)
    finished(scoped, "true", limit_mem_bytes=48 * MIB)
    assert systemd.log.exists()


def test_who_asks_for_no_limit_gets_no_scope(scoped: AgentClient, systemd: Systemd) -> None:
    untied(scoped, "true", cpus=1, limit_cpus=1)
    assert not systemd.log.exists()


# -- temporary space -------------------------------------------------------------------------------


def test_temporary_space_is_promised_once(node: Node, tmp_path: Path) -> None:
    free = os.statvfs(tmp_path)
    half = free.f_bavail * free.f_frsize * 3 // 5
    with node.client(TMPDIR=str(tmp_path)) as agent:
        agent.until("hello")
        agent.admit(tmp_bytes=half)
        kind, reason = agent.admission_refusal(tmp_bytes=half)
        assert (kind, "temporary space: " in reason, "leased: " in reason) == ("tmp", True, True)
        agent.admit(tmp_bytes=half // 2)
