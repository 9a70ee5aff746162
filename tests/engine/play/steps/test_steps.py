"""Steps on the lab's nodes, over real ssh."""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from clbalance.engine.drain import DrainRequest, drain_message, mark
from clbalance.engine.files.transfers import Transfers
from clbalance.engine.play.step_runner import StepFacts
from clbalance.engine.play.steps.nodes import NodeDrains
from clbalance.engine.play.steps.runner import SshSteps
from clbalance.lab.cluster import Lab
from clbalance.lab.node import Fault
from clbalance.lab.spec import LabSpec, LabUser
from clbalance.model import NodeName
from clbalance.model.play_run import MOST_OUTPUT_BYTES, Result, StepEnded, StepState
from clbalance.model.playbook import (
    Action,
    Argv,
    Assert,
    CheckHealth,
    CopyFiles,
    DrainNode,
    FetchFiles,
    Notify,
    Playbook,
    Reboot,
    ResumeNode,
    RunProgram,
    ShellText,
    Step,
    Variable,
    WaitFor,
)
from clbalance.node import agent_source, files_source, probe_script
from clbalance.transport.reach import SshTransport
from tests.conftest import NewLab
from tests.engine.services import Notes, world_of
from tests.waiting import eventually

NODE = NodeName("node1")


def steps_of(lab: Lab, folder: Path, within_s: float = 20.0) -> SshSteps:
    transport = SshTransport(path=str(lab.directory / "bin/ssh"))
    services = replace(
        world_of({}),
        transport=transport,
        listener=Notes(),
        probe_script=probe_script(),
        agent_source=agent_source,
        answer_within_s=within_s,
    )
    return SshSteps(
        services=services,
        drains=NodeDrains(services, "tester", lambda _: None, threading.Lock()),
        transfers_over=lambda way: Transfers(way, program=files_source(), within_s=20, idle_s=20),
        rebalance=lambda _: StepEnded(state=StepState.OK),
        folder=str(folder),
    )


def facts(variables: Mapping[str, str] | None = None, *steps: Step, run: int = 7) -> StepFacts:
    book = Playbook(
        name="book",
        description="",
        file="book.yml",
        text_hash="",
        hosts="@all",
        variables=variables or {},
        steps=steps,
    )
    return StepFacts(playbook=book, run=run, nodes=(NODE,))


def step(action: Action, *, timeout_s: float | None = None, user: str | None = None, sudo: bool = False) -> Step:
    return Step(
        name="it", path="steps[0]", line=1, action=action, register="was", timeout_s=timeout_s, user=user, sudo=sudo
    )


def shell(text: str) -> RunProgram:
    return RunProgram(program=ShellText(text=text))


def done(steps: SshSteps, one: Step | Action, known: StepFacts | None = None, node: str = NODE) -> StepEnded:
    one = one if isinstance(one, Step) else step(one)
    return steps.run(NodeName(node), one, known or facts(), threading.Event())


@pytest.fixture
def steps(lab: Lab, tmp_path: Path) -> SshSteps:
    return steps_of(lab, tmp_path)


# -- run


def test_a_program_gets_variables_and_results_and_returns_its_own(steps: SshSteps) -> None:
    known = replace(facts({"x": "a 'b'\n$(c)"}), registered={"before": Result(rc=3, out="said\n")})
    text = 'printf "%s|%s|%s|%s|%s" "$VAR_x" "$VAR_before" "$VAR_before_rc" "$CLBALANCE_NODE" "$CLBALANCE_PLAY_RUN"'
    ended = done(steps, shell(text), known)
    assert ended.result == Result(rc=0, out="a 'b'\n$(c)|said|3|node1|7")
    words = Argv(words=("printf", "[%s]", Variable(name="x")))
    assert done(steps, RunProgram(program=words), known).result == Result(rc=0, out="[a 'b'\n$(c)]")


def test_an_exit_code_fails_with_the_last_line_unless_it_is_named(steps: SshSteps) -> None:
    ended = done(steps, shell("echo no space >&2; exit 4"))
    assert (ended.state, ended.reason) == (StepState.FAILED, "exit code 4: no space")
    named = RunProgram(program=ShellText(text="exit 4"), ok_codes=frozenset({0, 4}))
    assert done(steps, named).state is StepState.OK


def test_what_a_program_prints_is_written_to_the_file_of_its_node_whatever_its_exit_code(
    steps: SshSteps, lab: Lab, tmp_path: Path
) -> None:
    file = tmp_path / "facts" / "load.node1"
    one = RunProgram(program=ShellText(text="echo 0.5; echo no disk >&2; exit 3"), output=str(file.with_suffix("")))
    assert done(steps, one).state is StepState.FAILED
    assert [oct(one.stat().st_mode) for one in (file.parent, file)] == ["0o40700", "0o100600"]
    assert file.read_text() == "0.5\nno disk\n[clbalance: exit code 3: no disk]\n"
    lab.nodes[0].kill()
    assert done(steps, one).state is StepState.FAILED
    assert file.read_text().startswith("[clbalance: not begun: "), "not what an earlier run has read"


def test_what_a_program_prints_on_this_host_is_written_too_and_nothing_in_check_mode(
    steps: SshSteps, tmp_path: Path
) -> None:
    look = RunProgram(program=ShellText(text='echo "dry:$CLBALANCE_DRY_RUN"'), output=str(tmp_path / "look"))
    on_node = replace(step(look), runs_in_check=True)
    for one in (on_node, replace(on_node, on_this_host=True)):
        found = steps.check(NODE, one, facts(run=0), threading.Event())
        assert (found.result, (tmp_path / "look.node1").exists()) == (Result(rc=0, out="dry:1"), False)
    assert done(steps, replace(on_node, on_this_host=True)).state is StepState.OK
    assert (tmp_path / "look.node1").read_text() == "dry:\n"


def test_an_output_file_that_cannot_be_written_fails_the_step(steps: SshSteps, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ended = done(steps, RunProgram(program=ShellText(text="true"), output=str(tmp_path / "file" / "load")))
    assert ended.state is StepState.FAILED
    assert str(tmp_path / "file") in ended.reason


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_writes_no_output_file_where_others_may_write(steps: SshSteps, tmp_path: Path) -> None:
    everybodys = tmp_path / "everybodys"
    everybodys.mkdir()
    everybodys.chmod(0o777)
    ended = done(steps, RunProgram(program=ShellText(text="true"), output=str(everybodys / "load")))
    assert (ended.state, list(everybodys.iterdir())) == (StepState.FAILED, [])


def test_a_timeout_says_so_and_nothing_is_left(steps: SshSteps) -> None:
    ended = done(steps, step(shell("sleep 5432 & sleep 5432"), timeout_s=0.5))
    assert (ended.state, ended.reason) == (StepState.FAILED, "ended after its timeout of 0.5 s")
    left = done(steps, shell("ps -e -o args | grep -c '[s]leep 5432'"))
    assert left.result is not None
    assert left.result.out == "0"


def test_an_endless_output_is_bounded(steps: SshSteps) -> None:
    result = done(steps, step(shell("yes"), timeout_s=1.0)).result
    assert result is not None
    assert MOST_OUTPUT_BYTES <= len(result.out) < MOST_OUTPUT_BYTES + 100


def test_a_node_that_is_lost_in_the_middle_is_uncertain_and_one_that_is_down_has_not_begun(
    steps: SshSteps, lab: Lab
) -> None:
    assert done(steps, shell("reboot; sleep 60")).state is StepState.UNKNOWN
    lab.nodes[1].kill()
    ended = done(steps, shell("true"), node="node2")
    assert ended.state is StepState.FAILED
    assert ended.reason.startswith("not begun")


def test_a_frozen_node_ends_at_the_deadline_and_a_stop_ends_it_at_once(lab: Lab, tmp_path: Path) -> None:
    lab.nodes[0].hang()
    ended = done(steps_of(lab, tmp_path, within_s=2.0), shell("true"))
    assert ended.state is StepState.FAILED
    stop = threading.Event()
    begun = lab.node("node2").folder.home(lab.record.user) / "begun"
    threading.Thread(target=lambda: eventually(begun.exists) and stop.set()).start()
    one = step(shell("touch ~/begun; sleep 600"))
    assert steps_of(lab, tmp_path).run(NodeName("node2"), one, facts(), stop).state is StepState.UNKNOWN


def test_a_node_needs_sh_and_no_python(steps: SshSteps, lab: Lab) -> None:
    lab.nodes[0].boot(Fault(without=("python3", "python")))
    assert done(steps, shell("command -v python3 || echo none")).result == Result(rc=0, out="none")
    health = CheckHealth(program=ShellText(text="node-health"), within_s=60.0)
    assert done(steps, health).state is StepState.OK
    assert done(steps, WaitFor(within_s=60.0, every_s=0.5, port=2222)).state is StepState.OK


def test_a_banner_and_a_login_shell_that_is_no_sh_do_not_matter(new_lab: NewLab, tmp_path: Path) -> None:
    banner = tmp_path / "banner"
    banner.write_text("rc 0\n" * 50)
    found = [one for one in ("/bin/csh", "/bin/tcsh", "/usr/bin/fish") if Path(one).exists()] or ["/bin/bash"]
    users = tuple(LabUser(name=f"user{at}", uid=2001 + at, shell=one) for at, one in enumerate(found))
    lab = new_lab(LabSpec(nodes=1, tied=True, users=users))
    lab.nodes[0].boot(Fault(sshd_options={"Banner": str(banner)}))
    for user in users:
        ended = done(steps_of(lab, tmp_path), step(shell("id -un; exit 3"), user=user.name))
        assert ended.result == Result(rc=3, out=user.name)


def test_sudo_that_is_not_there_has_a_clear_reason(steps: SshSteps, lab: Lab) -> None:
    lab.nodes[0].boot(Fault(without=("sudo",)))
    ended = done(steps, step(shell("true"), sudo=True))
    assert (ended.state, ended.reason) == (StepState.FAILED, "not begun: the node has no sudo")


# -- on this host


def here(text: str, *, timeout_s: float | None = None) -> Step:
    return replace(step(shell(text), timeout_s=timeout_s), on_this_host=True)


def test_on_this_host_a_program_gets_the_same_and_the_way_to_clbalance(steps: SshSteps) -> None:
    known = replace(facts({"x": "a 'b'"}), nodes=(NODE, NodeName("node2")))
    text = (
        'echo "$VAR_x|$CLBALANCE_NODE|$CLBALANCE_PLAY_NODES|$CLBALANCE_DRY_RUN"; cat; command -v clbalance >&2; exit 3'
    )
    ended = done(steps, here(text), known)
    assert (ended.state, ended.reason.rpartition("/")[2]) == (StepState.FAILED, "clbalance")
    assert ended.result is not None
    assert (ended.result.rc, ended.result.out) == (3, "a 'b'|node1|node1,node2|")
    assert done(steps, here("exec true"), known, node="nowhere").state is StepState.OK, "the node is not asked"


def test_on_this_host_a_timeout_and_a_stop_end_all_that_the_program_has_started(
    steps: SshSteps, tmp_path: Path
) -> None:
    children = f"sleep 600 & echo $! >{tmp_path}/first; sleep 600"
    ended = done(steps, here(children, timeout_s=0.5))
    assert (ended.state, ended.reason) == (StepState.FAILED, "ended after its timeout of 0.5 s")
    stop = threading.Event()
    watch = threading.Thread(target=lambda: (eventually((tmp_path / "up").exists), stop.set()))
    watch.start()
    ended = steps.run(
        NODE, here(f"sleep 600 & echo $! >{tmp_path}/second; touch {tmp_path}/up; sleep 600"), facts(), stop
    )
    watch.join()
    assert (ended.state, ended.reason) == (StepState.UNKNOWN, "it was stopped")
    for name in ("first", "second"):
        gone = Path("/proc") / (tmp_path / name).read_text().strip()
        eventually(lambda gone=gone: not gone.exists())  # type: ignore[misc]


def test_on_this_host_what_ignores_a_signal_is_killed(steps: SshSteps, tmp_path: Path) -> None:
    ended = done(steps, here(f"trap '' TERM; echo $$ >{tmp_path}/it; while :; do sleep 0.1; done", timeout_s=0.5))
    assert ended.state is StepState.FAILED
    gone = Path("/proc") / (tmp_path / "it").read_text().strip()
    eventually(lambda: not gone.exists())


# -- drain, resume, reboot


def test_a_drain_names_its_run_and_is_resumed_by_it_alone(steps: SshSteps) -> None:
    assert done(steps, DrainNode(deadline_s=60.0, reason="kernel")).state is StepState.OK
    other = done(steps, DrainNode(deadline_s=60.0), facts(run=8))
    assert other.state is StepState.REFUSED
    assert "play book run 7: kernel" in other.reason
    assert not done(steps, ResumeNode(), facts(run=8)).changed
    assert done(steps, DrainNode(deadline_s=60.0)).state is StepState.OK  # again, as after an interruption
    assert done(steps, ResumeNode()).changed
    assert not done(steps, ResumeNode()).changed


def test_the_mark_of_a_run_that_is_rolled_back_is_that_of_its_rollback(steps: SshSteps) -> None:
    assert done(steps, DrainNode(deadline_s=60.0)).state is StepState.OK  # and then the run was killed
    rollback = replace(facts(run=9), rolls_back=7)
    assert done(steps, DrainNode(deadline_s=60.0), replace(rollback, rolls_back=6)).state is StepState.REFUSED
    assert done(steps, DrainNode(deadline_s=60.0), rollback).state is StepState.OK
    assert done(steps, ResumeNode(), rollback).changed


def test_a_resume_of_earlier_runs_removes_their_mark_and_no_other(steps: SshSteps) -> None:
    later, resume = facts(run=8), ResumeNode(earlier_runs=True)
    assert done(steps, DrainNode(deadline_s=5.0, reason="idle")).state is StepState.OK
    assert not done(steps, resume, replace(later, playbook=replace(later.playbook, name="other"))).changed
    assert done(steps, resume, later).changed


def test_a_node_that_an_earlier_run_has_left_is_taken_over(steps: SshSteps) -> None:
    assert done(steps, DrainNode(deadline_s=60.0)).state is StepState.OK
    assert steps.keep_drained(NODE, "it: exit code 1", facts(), threading.Event()).state is StepState.OK
    later = facts(run=8)
    assert done(steps, DrainNode(deadline_s=60.0), later).state is StepState.OK
    assert done(steps, ResumeNode(), later).changed


def test_a_node_that_is_not_drained_any_more_is_not_drained_by_its_failure(steps: SshSteps, lab: Lab) -> None:
    assert done(steps, DrainNode(deadline_s=5.0)).state is StepState.OK
    assert done(steps, ResumeNode()).changed
    kept = steps.keep_drained(NODE, "it: exit code 1", facts(), threading.Event())
    assert (kept.state, kept.reason) == (StepState.FAILED, "it is not drained")
    assert not any(lab.nodes[0].folder.var.glob("clbalance-*/drain"))


def test_a_node_that_an_earlier_run_of_the_playbook_has_left_can_be_resumed_by_a_later_one(steps: SshSteps) -> None:
    assert done(steps, DrainNode(deadline_s=5.0)).state is StepState.OK
    later, other = facts(run=8), facts(run=8)
    other = replace(other, playbook=replace(other.playbook, name="another"))
    assert not done(steps, ResumeNode(), later).changed, "run 7 is still at work there"
    assert steps.keep_drained(NODE, "it: exit code 1", facts(), threading.Event()).state is StepState.OK
    assert not done(steps, ResumeNode(), other).changed
    assert done(steps, ResumeNode(), later).changed


def test_a_mark_that_somebody_set_by_hand_stays_as_it_is(steps: SshSteps) -> None:
    request = DrainRequest(reason="disk is failing", by="somebody")
    assert all(one.done for one in mark(steps.services, [NODE], drain_message(request)))
    assert done(steps, DrainNode(deadline_s=60.0)).state is StepState.OK
    assert not steps.keep_drained(NODE, "it: exit code 1", facts(), threading.Event()).changed
    resumed = done(steps, ResumeNode())
    assert (resumed.changed, resumed.reason) == (False, "it stays drained: disk is failing")


def test_a_reboot_waits_for_another_boot(steps: SshSteps, lab: Lab) -> None:
    reboot = Reboot(within_s=120.0, program=ShellText(text="systemctl reboot || reboot"))
    before = lab.nodes[0].boot_id()
    ended = done(steps, reboot)
    assert ended.state is StepState.OK, ended.reason
    assert lab.nodes[0].boot_id() != before
    assert ended.reason.startswith("back after")


def test_a_reboot_that_brings_the_same_boot_id_has_failed(steps: SshSteps, lab: Lab) -> None:
    lab.nodes[0].load(reboot="same", reboot_s=0.1)
    ended = done(steps, Reboot(within_s=5.0, program=ShellText(text="reboot")))
    assert ended.state is StepState.FAILED
    assert "same boot_id" in ended.reason


def test_no_reboot_without_the_drain_of_the_playbook(steps: SshSteps, lab: Lab) -> None:
    before = lab.nodes[0].boot_id()
    known = facts(None, replace(step(DrainNode()), path="drain"))
    ended = done(steps, Reboot(within_s=5.0, program=ShellText(text="reboot")), known)
    assert (ended.state, ended.reason) == (StepState.FAILED, "not rebooted: its drain mark has gone")
    assert lab.nodes[0].boot_id() == before


# -- waiting, health, conditions


def test_waiting_ends_at_its_deadline_with_what_is_missing(steps: SshSteps) -> None:
    ended = done(steps, WaitFor(within_s=3.0, every_s=0.3, port=1))
    assert (ended.state, ended.reason) == (StepState.FAILED, "after 3 s: nothing listens on port 1")
    assert done(steps, WaitFor(within_s=60.0, every_s=0.3, where="r1m < 5", no_jobs=True)).state is StepState.OK
    assert done(steps, WaitFor(within_s=0.5, every_s=0.3, where="r1m > 500")).state is StepState.FAILED


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("exit 0", StepState.OK),
        ("exit 1", StepState.FAILED),
        ("exit 2", StepState.FAILED),
        ("exit 3", StepState.UNKNOWN),
        ("exit 99", StepState.UNKNOWN),
        ("sleep 60", StepState.UNKNOWN),
    ],
)
def test_health_is_told_by_the_codes_of_nagios(steps: SshSteps, text: str, state: StepState) -> None:
    within_s = 2.5 if state is StepState.UNKNOWN else 60.0  # it is over once it is known
    health = CheckHealth(program=ShellText(text=text), passes=2, fails=2, every_s=0.1, within_s=within_s)
    assert done(steps, health).state is state


def test_conditions_are_about_results_and_load_and_unknown_is_not_true(steps: SshSteps) -> None:
    known = replace(facts(None, step(shell("true"))), registered={"was": Result(rc=0, out="result.rc = 0")})
    skipped = done(steps, replace(step(shell("true")), when="was.rc = 1"), known)
    assert skipped.state is StepState.SKIPPED
    assert done(steps, Assert(that="r1m < 5 and was.rc = 0"), known).state is StepState.OK
    ended = done(steps, Assert(that="result.rc = 0", message="say why"), known)
    assert (ended.state, ended.reason) == (StepState.FAILED, "say why")
    again = replace(step(shell("echo no; exit 1")), until="result.rc = 1")
    assert done(steps, again, known).state is StepState.OK


# -- files, notify, check mode


def test_files_go_there_and_come_back(steps: SshSteps, tmp_path: Path) -> None:
    (tmp_path / "it.conf").write_text("x")
    copy = CopyFiles(sources=("it.conf",), destination="conf/", mode=0o600)
    would = steps.check(NODE, step(copy), facts(), threading.Event())
    assert would.reason == "would transfer 1 file"
    first = done(steps, copy)
    assert (first.changed, first.result) == (True, Result(rc=0, out="new it.conf\n"))
    assert done(steps, shell("stat -c %a conf/it.conf")).result == Result(rc=0, out="600")
    again = done(steps, copy)
    assert (again.changed, again.result) == (False, Result(rc=0))
    back = tmp_path / "back"
    back.mkdir()
    assert done(steps, FetchFiles(sources=("conf/it.conf",), folder=str(back))).state is StepState.OK
    assert [one.name for one in back.iterdir()] == ["it.conf.node1"]
    gone = done(steps, CopyFiles(sources=("nowhere",), destination="x"))
    assert gone.state is StepState.FAILED


def test_check_mode_does_not_say_that_all_is_there_where_a_copy_would_delete(steps: SshSteps, tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "a").touch()
    copy = step(CopyFiles(sources=("conf",), destination="site/", sync=True))
    assert done(steps, copy).state is StepState.OK
    assert steps.check(NODE, copy, facts(), threading.Event()).reason == "all is there already"
    (tmp_path / "conf" / "a").unlink()
    would = steps.check(NODE, copy, facts(), threading.Event())
    assert would.reason == "would transfer 0 files"
    assert would.result is not None
    assert "conf/a" in would.result.out


def test_somebody_is_told_and_a_failure_is_only_a_remark(steps: SshSteps, tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = Argv(words=("/bin/sh", "-c", f'echo "$CLBALANCE_NODE $CLBALANCE_MESSAGE" >{told}'))
    assert done(steps, Notify(program=program, message="it's done")).reason == ""
    assert told.read_text() == "node1 it's done\n"
    bad = done(steps, Notify(program=Argv(words=("/nowhere",))))
    assert bad.state is StepState.OK
    assert bad.reason.startswith("nobody was told")


def test_a_webhook_gets_one_json_value_and_redirects_are_not_followed(steps: SshSteps) -> None:
    bodies: list[bytes] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(302 if self.path == "/away" else 204)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        assert done(steps, Notify(url=f"{url}/here", message="done")).reason == ""
        assert done(steps, Notify(url=f"{url}/away")).reason.startswith("nobody was told")
        server.shutdown()
        thread.join()
    assert json.loads(bodies[0])["text"] == "done"


def test_check_mode_says_that_a_step_would_be_skipped_and_asks_no_node_for_it(steps: SshSteps) -> None:
    copy = replace(step(CopyFiles(sources=("nowhere",), destination="x")), when="vars.x != ''")
    would = steps.check(NODE, copy, facts({"x": ""}, copy), threading.Event())
    assert (would.state, would.reason) == (StepState.SKIPPED, "skipped: not vars.x != ''")


def test_check_mode_touches_nothing(steps: SshSteps, lab: Lab) -> None:
    before = lab.nodes[0].boot_id()
    actions: list[Action] = [
        shell("touch here"),
        DrainNode(),
        Reboot(within_s=1, program=ShellText(text="reboot")),
        WaitFor(within_s=1, every_s=1, port=22, no_jobs=True),
    ]
    for action in actions:
        would = steps.check(NODE, step(action), facts(), threading.Event())
        assert would.reason.startswith("would ")
    assert lab.nodes[0].boot_id() == before
    assert done(steps, shell("ls here")).state is StepState.FAILED


def test_check_mode_skips_what_is_known_to_be_skipped_and_carries_out_what_says_so(steps: SshSteps) -> None:
    known = replace(facts({"x": "no"}, step(shell("true"))), run=0)
    skipped = steps.check(NODE, replace(step(shell("touch here")), when="vars.x = yes"), known, threading.Event())
    assert (skipped.state, skipped.reason) == (StepState.SKIPPED, "skipped: not vars.x = yes")
    unknown = steps.check(NODE, replace(step(shell("touch here")), when="was.rc = 0"), known, threading.Event())
    assert unknown.reason == "would run `touch here`"
    there = steps.check(NODE, here("touch here"), known, threading.Event())
    assert there.reason == "would run `touch here` on this host"
    look = replace(here('echo "dry:$CLBALANCE_DRY_RUN"'), runs_in_check=True)
    assert steps.check(NODE, look, known, threading.Event()).result == Result(rc=0, out="dry:1")
