"""The keys of a playbook and the kinds of their values, for msgspec: the shape that is checked, and its JSON Schema.

What the shape cannot say (durations, conditions, names) is checked where the values are made (`scalars.py`,
`actions.py`, `steps.py`). A program may be `true` or `false`: YAML's words are names of programs, too.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

Duration: TypeAlias = Annotated[str | int | float, Meta(description="Seconds, or as in `30s`, `5m`, `1h30m`.")]
Nodes: TypeAlias = Annotated[int | str, Meta(description="A number of nodes, or a percentage such as `25%`.")]
Program: TypeAlias = Annotated[
    str | bool | list[str | int | float | bool],
    Meta(description="Text for /bin/sh on the node, or a program with its arguments, which no shell sees."),
]
Condition: TypeAlias = Annotated[str | bool, Meta(description="An expression as of --where, such as `result.rc = 0`.")]
Texts: TypeAlias = str | list[str]
Scalar: TypeAlias = str | int | float | bool
Variables: TypeAlias = Annotated[
    dict[str, Scalar | None], Meta(description="For programs and paths. One without a value must be given with -e.")
]
FilePath: TypeAlias = Annotated[
    str, Meta(description="A path. `{{ vars.NAME }}` may stand for whole parts of it: `{{ vars.root }}/releases`.")
]
Count: TypeAlias = Annotated[int, Meta(ge=1, le=1_000_000)]
Code: TypeAlias = Annotated[int, Meta(ge=0, le=255)]
Port: TypeAlias = Annotated[int, Meta(ge=1, le=65535)]


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a playbook."""


class CanaryForm(Form, frozen=True):
    """These nodes first; the others follow if they stay healthy."""

    nodes: Nodes = 1
    soak: Duration = 0
    pause: bool = False


class DrainForm(Form, frozen=True):
    """Drain a node, and wait until no job runs there."""

    deadline: Duration | None = None
    on_deadline: Literal["fail", "skip", "force"] = "fail"
    reason: str = ""


class HealthForm(Form, frozen=True):
    """A check with Nagios' exit codes: 0 passes, 1 and 2 fail, 3 is unknown."""

    run: Program
    passes: Count = 1
    fails: Count = 3
    every: Duration = 5
    within: Duration = 300


class RunForm(Form, frozen=True):
    """Run a program on the node."""

    command: Program
    env: dict[str, Scalar] = {}
    chdir: str | None = None
    ok_codes: tuple[Code, ...] = (0,)
    output: FilePath | None = None


class CopyForm(Form, frozen=True):
    """Copy files to the node."""

    src: FilePath | list[FilePath]
    dest: FilePath
    sync: bool = False
    mode: str | int | None = None
    checksum: bool = False
    into_shared_folder: bool = False


class FetchForm(Form, frozen=True):
    """Fetch files from the node into a folder of this host."""

    src: FilePath | list[FilePath]
    dest: FilePath


class WaitForForm(Form, frozen=True):
    """Wait until all of this holds."""

    within: Duration = 300
    every: Duration = 2
    port: Port | None = None
    run: Program | None = None
    where: str | None = None
    no_jobs: bool = False


class RebootForm(Form, frozen=True):
    """Reboot the node, and wait until it is back."""

    within: Duration = 900
    run: Program = "systemctl reboot || reboot"
    even_with_jobs: bool = False


class PauseForm(Form, frozen=True):
    """Wait, or ask somebody at the terminal."""

    seconds: Duration | None = msgspec.field(default=None, name="for")
    ask: str = ""


class AssertForm(Form, frozen=True):
    """Fail unless the condition is true."""

    that: Condition
    message: str = ""


class NotifyForm(Form, frozen=True):
    """Tell somebody, from this host."""

    run: Program | None = None
    url: str | None = None
    message: str = ""
    within: Duration = 10


class ResumeForm(Form, frozen=True):
    """Give the node back."""

    earlier_runs: bool = False


class EmptyForm(Form, frozen=True):
    """Nothing to set."""


class StepForm(Form, frozen=True):
    """One step: one action, and how it is carried out."""

    run: str | bool | list[str | int | float | bool] | RunForm | UnsetType = UNSET
    copy: CopyForm | UnsetType = UNSET
    fetch: FetchForm | UnsetType = UNSET
    drain: DrainForm | UnsetType | None = UNSET
    resume: ResumeForm | UnsetType | None = UNSET
    wait_for: WaitForForm | UnsetType = UNSET
    reboot: RebootForm | UnsetType | None = UNSET
    rebalance: EmptyForm | UnsetType | None = UNSET
    pause: str | int | float | PauseForm | UnsetType = UNSET
    assert_: str | bool | AssertForm | UnsetType = msgspec.field(default=UNSET, name="assert")
    notify: NotifyForm | UnsetType = UNSET

    name: str | None = None
    when: Condition | None = None
    until: Condition | None = None
    retries: Annotated[int, Meta(ge=0, le=100_000)] = 0
    delay: Duration = 5
    register: str | None = None
    run_once: bool = False
    throttle: Count | None = None
    idempotent: bool = False
    ignore_errors: bool = False
    timeout: Duration | None = None
    user: str | None = None
    sudo: bool | None = None
    delegate_to: Literal["localhost"] | None = None
    check_mode: bool = True


ACTIONS = ("run", "copy", "fetch", "drain", "resume", "wait_for", "reboot", "rebalance", "pause", "assert", "notify")


class PlaybookForm(Form, frozen=True):
    """A playbook of clbalance."""

    steps: list[StepForm]
    name: str | None = None
    description: str = ""
    hosts: Texts = ""
    pool: Texts = ""
    vars: Variables = {}
    order: Literal["least", "most", "name", "random"] = "least"
    window: Nodes | None = None
    serial: Nodes | list[Nodes] | None = None
    canary: CanaryForm | None = None
    max_fail_percentage: Annotated[float, Meta(ge=0, le=100)] | None = None
    min_available: Nodes | None = None
    stop_after: Nodes | None = None
    drain: DrainForm | UnsetType | None = UNSET
    health: HealthForm | None = None
    rollback: list[StepForm] = []
    user: str | None = None
    sudo: bool = False


def json_schema() -> bytes:
    """The published JSON Schema of a playbook."""
    schema = msgspec.json.schema(PlaybookForm)
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A playbook of clbalance", **schema}
    return msgspec.json.format(msgspec.json.encode(whole, order="sorted"), indent=2) + b"\n"
