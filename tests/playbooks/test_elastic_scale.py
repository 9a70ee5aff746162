"""`clbalance play elastic-scale` on a cluster: with a dry provider, and with one that boots and kills nodes of the lab."""

import signal

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Done, ended, eventually
from tests.cli.conftest import clbalance, folder  # noqa: F401 - fixtures
from tests.playbooks.support import drain_reasons, given, states_of

POOL = "node[1-3]"
_AT_ONCE = {"start_after": "0.001", "idle": "0.001", "settle": "0.001"}


def provider(command: Command, text: str) -> str:
    """A program of the site. What it was asked is in `asked`."""
    file = command.folder / "power"
    file.write_text(f'#!/bin/sh\necho "$@" >>{command.folder}/asked\n{text}\n')
    file.chmod(0o755)
    return str(file)


def lab_provider(command: Command) -> str:
    return provider(command, 'case $1 in start) clbalance lab boot "$2" ;; stop) clbalance lab kill "$2" ;; esac >&2')


def asked(command: Command) -> list[str]:
    """What the provider was asked, in any order."""
    file = command.folder / "asked"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def scale(command: Command, power: str, *arguments: str, **limits: str) -> Done:
    values = {"provider": power, **_AT_ONCE, **limits}
    return command("play", "elastic-scale", "-w", POOL, "--json", *given(**values), *arguments)


def queue(command: Command, count: int = 1) -> None:
    """Jobs that wait, as no node in service is large enough."""
    for _ in range(count):
        assert command("run", "-q", "--detach", "--queue", "-w", POOL, "--cpus", "64", "-c", "true").rc == 0


def test_idle_nodes_are_drained_and_stopped_down_to_the_floor_and_started_and_resumed_when_jobs_wait(
    clbalance: Command,  # noqa: F811
    lab: Lab,
) -> None:
    power = lab_provider(clbalance)
    assert states_of(scale(clbalance, power, floor="2")) == dict.fromkeys(("node1", "node2", "node3"), "ok")
    assert asked(clbalance) == [], "idle since this look"
    assert set(states_of(scale(clbalance, power, floor="2")).values()) == {"ok"}
    (stopped,) = asked(clbalance)
    name = stopped.removeprefix("stop ")
    assert not lab.node(name).processes()

    queue(clbalance)
    for _ in range(2):  # it must be wanted without a break, and is then started
        assert set(states_of(scale(clbalance, power, floor="2")).values()) == {"ok"}
    assert asked(clbalance) == [f"start {name}", stopped]
    assert lab.node(name).processes()
    for _ in range(2):  # a mark of its stop, if it is still there, is removed
        assert scale(clbalance, power, floor="2").rc == 0
    assert drain_reasons(clbalance, POOL) == {}


def test_a_dry_run_shows_the_decision_with_its_reason_and_changes_nothing(clbalance: Command) -> None:  # noqa: F811
    power = provider(clbalance, "exit 1")
    for _ in range(2):
        assert scale(clbalance, power, floor="3").rc == 0
    memory = next(clbalance.folder.parent.rglob("elastic-elastic-scale.json")).read_bytes()
    values = given(provider=power, floor="2", **_AT_ONCE)
    done = clbalance("play", "elastic-scale", "-w", POOL, *values, "--dry-run")
    assert done.rc == 0
    assert " stop idle for " in done.text
    assert "# the floor allows 1 of 3 stops" in done.text
    assert done.text.count("stop: would run") == 1
    assert done.text.count("start: skipped: not action.out = start") == 3
    assert (asked(clbalance), drain_reasons(clbalance, POOL)) == ([], {})
    assert next(clbalance.folder.parent.rglob("elastic-elastic-scale.json")).read_bytes() == memory


def test_a_node_with_a_job_and_one_that_somebody_has_drained_are_never_stopped(clbalance: Command) -> None:  # noqa: F811
    power = provider(clbalance, "true")
    job = clbalance.start("run", "-q", "-w", "node1", "-c", f"until [ -e {clbalance.folder}/go ]; do sleep 0.1; done")
    eventually(lambda: {row.split()[0] for row in clbalance("load", "--jobs", "-w", "node1").lines[1:]})
    assert clbalance("drain", "node2", "--reason", "disk").rc == 0
    for _ in range(3):
        assert scale(clbalance, power, floor="0", calm="0.89").rc == 0
    assert asked(clbalance) == ["stop node3"]
    assert drain_reasons(clbalance, "node2") == {"node2": "disk (by root)"}
    (clbalance.folder / "go").touch()
    assert ended(job) == 0


def test_a_stop_that_fails_leaves_the_node_drained_with_the_reason_and_nothing_else_is_stopped(
    clbalance: Command,  # noqa: F811
) -> None:
    power = provider(clbalance, "echo no quota >&2; exit 3")
    assert scale(clbalance, power, floor="2").rc == 0
    done = scale(clbalance, power, floor="2")
    (name,) = (name for name, state in states_of(done).items() if state == "failed")
    assert (done.rc, asked(clbalance)) == (4, [f"stop {name}"])
    assert f"{name} failed: stop: exit code 3: no quota" in done.stderr
    assert " failed: stop: exit code 3: no quota" in drain_reasons(clbalance, POOL)[name]
    again = scale(clbalance, power, floor="1")
    assert (again.rc, asked(clbalance)) == (0, [f"stop {name}"])
    values = given(provider=power, **_AT_ONCE)
    said = clbalance("play", "elastic-scale", "-w", POOL, *values, "--dry-run").text
    assert f"nothing is stopped while {name} could not be: see why, then `clbalance resume {name}`" in said


def test_a_node_that_does_not_come_up_is_told_once_and_another_is_started(
    clbalance: Command,  # noqa: F811
    lab: Lab,
) -> None:
    power = provider(clbalance, "true")
    for name in ("node2", "node3"):
        lab.node(name).kill()
    queue(clbalance)
    for _ in range(2):
        assert scale(clbalance, power, boot="0.001").rc == 0
    (first,) = asked(clbalance)
    done = scale(clbalance, power, boot="0.001")
    name = first.removeprefix("start ")
    assert (done.rc, states_of(done)[name]) == (4, "failed")
    assert f"{name} failed: did it come up: it was started, and did not come up in time" in done.stderr
    assert asked(clbalance) == ["start node2", "start node3"]
    scale(clbalance, power, boot="0.001")
    last = scale(clbalance, power, boot="0.001")
    assert (last.rc, asked(clbalance)) == (0, ["start node2", "start node3"])


def test_a_call_that_is_killed_while_it_stops_a_node_is_made_good_by_the_next(clbalance: Command) -> None:  # noqa: F811
    power = provider(clbalance, f"until [ -e {clbalance.folder}/go ]; do sleep 0.1; done")
    assert scale(clbalance, power, floor="2").rc == 0
    values = given(provider=power, floor="2", **_AT_ONCE)
    call = clbalance.start("play", "elastic-scale", "-w", POOL, *values)
    (stopped,) = eventually(lambda: asked(clbalance))
    second = scale(clbalance, power, floor="2")
    assert (second.rc, "is being run already" in second.stderr) == (75, True)
    call.send_signal(signal.SIGKILL)
    ended(call)
    (clbalance.folder / "go").touch()
    name = stopped.removeprefix("stop ")
    assert set(drain_reasons(clbalance, POOL)) == {name}
    assert scale(clbalance, power, floor="2", settle="1h").rc == 0
    assert set(drain_reasons(clbalance, POOL)) == {name}, "it may still shut down"
    assert scale(clbalance, power, floor="3", boot="0.001").rc == 0
    assert (drain_reasons(clbalance, POOL), asked(clbalance)) == ({}, [stopped])


def test_a_limit_that_cannot_be_is_told_by_its_name_and_nothing_is_done(clbalance: Command) -> None:  # noqa: F811
    power = provider(clbalance, "true")
    done = scale(clbalance, power, calm="2")
    assert done.rc == 4
    assert (
        "decide: exit code 2: `calm` must be below `busy`: otherwise the same load would start and stop nodes"
        in done.stderr
    )
    missing = scale(clbalance, f"{clbalance.folder}/nowhere")
    assert "`provider` cannot be" in missing.stderr
    assert asked(clbalance) == []
