"""What a playbook says, and all that can be wrong in one, each with its line and its path."""

import json
from pathlib import Path

import pytest

from clbalance.errors import UsageError
from clbalance.model.playbook import (
    Argv,
    CheckHealth,
    CopyFiles,
    DrainNode,
    OnDeadline,
    Pause,
    Reboot,
    ResumeNode,
    RunProgram,
    Share,
    ShellText,
    Variable,
)
from clbalance.playbook.forms import json_schema
from clbalance.playbook.names import parse_variables

from .build import WHOLE, read, refused

SCHEMA = Path(__file__).parents[2] / "docs" / "playbook.schema.json"


def test_every_key_is_read() -> None:
    found = read(WHOLE)
    assert (found.name, found.hosts, found.pool) == ("everything", "@compute", "@compute,login1")
    assert found.rollout.window == Share(number=4)
    assert found.rollout.canary is not None
    assert (found.rollout.canary.nodes, found.rollout.canary.soak_s) == (Share(number=10, is_percent=True), 300.0)
    assert found.variables == {
        "package": "linux-image-amd64", "reboot": "yes", "mode": "012", "start": "1:30", "none": "",
    }  # fmt: skip
    actions = [type(step.action) for step in found.steps]
    assert actions[0] is DrainNode
    assert actions[-2:] == [CheckHealth, ResumeNode]
    assert len(actions) == len(found.steps) == 3 + 18


def test_the_program_of_the_health_check_runs_as_the_steps_do() -> None:
    found = read("steps: [{run: a}]\nhealth: {run: b}\nuser: admin\nsudo: true")
    assert [(step.user, step.sudo) for step in found.steps] == [("admin", True)] * 2


def test_a_turn_begins_with_the_drain_and_ends_with_health_and_resume() -> None:
    found = read("steps: [{run: a}]\ndrain: {on_deadline: force}\nhealth: {run: b}")
    assert [step.path for step in found.steps] == ["drain", "steps[0]", "health", "resume"]
    assert found.steps[0].action == DrainNode(on_deadline=OnDeadline.FORCE)
    assert [step.path for step in read("steps: [{run: a}]").steps] == ["steps[0]"]


def test_steps_have_the_user_and_sudo_of_the_whole_unless_they_say_otherwise() -> None:
    steps = {step.path: step for step in read(WHOLE).steps}
    assert [(steps[path].user, steps[path].sudo) for path in ("steps[0]", "steps[1]", "health")] == [
        ("root", True),
        ("alice", False),
        ("root", True),
    ]


def test_a_user_is_that_of_steps_that_log_in() -> None:
    text = "user: ann\ndrain:\nsteps: [{run: a}, {copy: {src: a, dest: b}, timeout: 5}, {notify: {run: x}}, {pause: 1}]"
    assert {step.path: step.user for step in read(text).steps if step.user} == {"steps[0]": "ann", "steps[1]": "ann"}


def test_true_and_false_are_programs() -> None:
    found = read("health: {run: false}\nsteps: [{run: true}, {run: {command: true}}, {run: [true]}]")
    assert [step.action for step in found.steps[:2]] == [RunProgram(program=ShellText(text="true"))] * 2
    assert found.steps[2].action == RunProgram(program=Argv(words=("true",)))
    assert found.steps[3].action == CheckHealth(program=ShellText(text="false"))


def test_words_of_a_program_are_as_they_were_typed() -> None:
    action = read("vars: {p: 1}\nsteps: [{run: [echo, 012, 1.50, '{{ vars.p }}', true]}]").steps[0].action
    assert action == RunProgram(program=Argv(words=("echo", "012", "1.50", Variable(name="p"), "true")))


def test_short_forms_mean_the_same_as_long_ones() -> None:
    short = read("steps: [{run: a}, {reboot: }, {pause: 5m}, {copy: {src: a, dest: b}}]")
    assert [step.action for step in short.steps] == [
        RunProgram(program=ShellText(text="a")),
        Reboot(within_s=900.0, program=ShellText(text="systemctl reboot || reboot")),
        Pause(seconds=300.0),
        CopyFiles(sources=("a",), destination="b"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hosts: a", "`steps` is missing"),
        ("steps: []", "p.yml:1:8: steps: it has no steps"),
        ("steps: {run: x}", "p.yml:1:8: steps: must be a list of steps"),
        ("steps: [run]", "p.yml:1:9: steps[0]: must be a table of keys, not text"),
        ("steps: [{}]", "p.yml:1:9: steps[0]: it has no action"),
        ("steps: [{run: a, copy: {src: a, dest: b}}]", "steps[0]: it has 2 actions: run, copy"),
        ("steps: [{rum: a}]", "p.yml:1:10: steps[0].rum: there is no key `rum` here"),
        ("steps: [{copy: {src: a, dst: b}}]", "p.yml:1:25: steps[0].copy.dst: there is no key `dst` here"),
        ("steps: [{copy: {src: a}}]", "p.yml:1:16: steps[0].copy: `dest` is missing"),
        ("steps:\n- run: a\n  retries: x", "p.yml:3:12: steps[0].retries: must be a whole number, not text"),
        ("steps: [{run: a, retries: -1}]", "steps[0].retries: must be at least 0"),
        ("steps: [{run: a, delay: soon}]", "p.yml:1:25: steps[0].delay: `soon` is no duration"),
        ("steps: [{run: a, until: attempt > 1}]", "steps[0].until: `until` needs `retries`"),
        ("steps: [{run: a, register: 1x}]", "steps[0].register: `1x` is no name for a result"),
        ("steps: [{run: a, register: result}]", "`result` is no name for a result"),
        ("steps: [{pause: 1, register: x}]", "`pause` has no result to register"),
        ("steps: [{pause: 1, sudo: true}]", "`sudo` has no effect on `pause`"),
        ("steps: [{copy: {src: a, dest: b}, sudo: true}]", "`sudo` has no effect on `copy`"),
        ("steps: [{drain: {}, delegate_to: localhost}]", "`delegate_to` has no effect on `drain`"),
        ("steps: [{reboot: {}, check_mode: false}]", "`check_mode` has no effect on `reboot`"),
        ("steps: [{run: a, delegate_to: node1}]", "steps[0].delegate_to:"),
        ("steps: [{run: a, delegate_to: localhost, user: u}]", "on this host it runs as who calls `play`"),
        ("steps: [{run: a, delegate_to: localhost, sudo: true}]", "on this host it runs as who calls `play`"),
        ("steps: [{drain: , user: ann}]", "`user` has no effect on `drain`"),
        ("steps: [{notify: {run: x}, timeout: 5}]", "`timeout` has no effect on `notify`"),
        ("steps: [{run: a, user: '-o'}]", "p.yml:1:24: steps[0].user:"),
        ("steps: [{run: a, name: n}, {run: b, name: n}]", "steps[1].name: there are two steps with the name `n`"),
        ("steps: [{run: a, when: r1m <}]", "steps[0].when: `when`: expected"),
        ("steps: [{run: a, when: vars.x = 1}]", "steps[0].when: `when`: unknown name `vars.x`"),
        ("steps: [{run: a, when: r1m}]", "`r1m` is a number, and not true or false"),
        ("steps: [{run: 'echo {{ vars.x }}'}]", "p.yml:1:15: steps[0].run: `{{ vars.x }}` is not possible here"),
        ("steps: [{run: [echo, '{{ vars.x }}']}]", "steps[0].run[1]: the variable `x` is not set"),
        ("steps: [{run: [echo, 'a{{ vars.x }}']}]", "steps[0].run[1]: `{{ vars.x }}` is not possible here"),
        ("vars: {a: 1}\nsteps: [{run: x, register: a}]", "p.yml:2:28: steps[0].register: `a` is a variable already"),
        ("vars: {a_rc: 1}\nsteps: [{run: x, register: a}]", "steps[0].register: `a_rc` is a variable already"),
        ("steps: [{run: ''}]", "steps[0].run: there is nothing to run"),
        ("steps: [{wait_for: {}}]", "steps[0].wait_for: it waits for nothing"),
        ("steps: [{wait_for: {port: 0}}]", "steps[0].wait_for.port: must be at least 1"),
        ("steps: [{pause: {}}]", "steps[0].pause: it needs `for` or `ask`"),
        ("steps: [{notify: {}}]", "steps[0].notify: it needs `run` or `url`"),
        ("steps: [{notify: {url: 'file:///x'}}]", "steps[0].notify.url: `file:///x` is no address"),
        ("steps: [{run: a}]\nwindow: 2\nserial: 3", "p.yml:3:1: serial: `window` and `serial` cannot both be given"),
        ("steps: [{run: a}]\nwindow: 0", "p.yml:2:9: window: `0` is no number of nodes"),
        ("steps: [{run: a}]\nserial: [1, 300%]", "p.yml:2:13: serial[1]: `300%` is no number of nodes"),
        ("steps: [{run: a}]\nmin_available: 2", "min_available: `min_available` needs nodes that are drained"),
        ("steps: [{run: a}]\nmax_fail_percentage: 200", "max_fail_percentage: must be at most 100"),
        ("steps: [{run: a}]\norder: fast", "p.yml:2:8: order: cannot be `fast`"),
        ("steps: [{run: a}]\nvars: {a b: 1}", "vars.a b: `a b` is no name of a variable"),
        ("steps: [{run: a}]\nvars: {a: [1]}", "p.yml:2:11: vars.a: a variable is one value"),
        ("steps: [{run: a}]\nrollback: [{drain: }]", "rollback[0]: `drain` is not possible in `rollback`"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_its_path(text: str, message: str) -> None:
    assert message in refused(text)[0]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("steps: [{run: a}]\norder: fast", "one of: least most name random"),
        ("steps: [{drain: {on_deadline: x}}]", "one of: fail skip force"),
        ("steps: [{run: a, delegate_to: n}]", "one of: localhost"),
    ],
)
def test_where_few_words_may_stand_they_are_named(text: str, hint: str) -> None:
    assert refused(text)[1] == hint


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    message, _ = refused("windw: 4\nsteps:\n- run: a\n  retries: x\n- {}\n- run: b\n  when: r1m <\n")
    assert [line.split(": ")[0] for line in message.splitlines()] == [
        "p.yml:1:1",
        "p.yml:4:12",
        "p.yml:5:3",
        "p.yml:7:9",
    ]


def test_a_name_that_was_probably_meant_is_offered() -> None:
    assert refused("steps: [{run: a}]\nmin_avilable: 3")[1] == "did you mean `min_available`?"


def test_variables_that_are_typed_win_and_must_exist() -> None:
    text = "vars: {a: 1}\nsteps: [{run: x}]"
    assert read(text, a="2").variables == {"a": "2"}
    with pytest.raises(UsageError, match="this playbook has no variable `aa`"):
        read(text, aa="2")


@pytest.mark.parametrize("word", ["a", "=1", "1a=2", "a-b=1", "a=\0"])
def test_a_word_that_is_no_variable_is_refused(word: str) -> None:
    with pytest.raises(UsageError):
        parse_variables([word])
    assert parse_variables(["a=1=2", "b="]) == {"a": "1=2", "b": ""}


def test_the_published_schema_is_that_of_the_program() -> None:
    """`python -m tests.playbook.schema` writes it anew."""
    assert SCHEMA.read_bytes() == json_schema()
    assert json.loads(json_schema())["title"] == "A playbook of clbalance"


def test_on_this_host_a_step_has_neither_the_login_name_nor_the_sudo_of_the_playbook() -> None:
    here, there = read("user: deploy\nsudo: true\nsteps: [{run: a, delegate_to: localhost}, {run: b}]").steps
    assert (here.user, here.sudo) == (None, False)
    assert (there.user, there.sudo) == ("deploy", True)
