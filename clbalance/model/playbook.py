"""A playbook that was checked: how it goes over the nodes, and the steps of each node. Frozen values.

`clbalance/playbook/` makes these from YAML, `policy/play/` decides by them, and `engine/play/` carries them out. All
text is as typed, apart from durations (seconds) and sizes (bytes). docs/design/playbooks.md describes the words.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import TypeAlias

from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import StepList

# -- values of keys -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A number of nodes, or a percentage of them."""

    number: int
    is_percent: bool = False


class NodeOrder(StrEnum):
    """Which node has its turn first: by load at the start of the run, by name, or by chance."""

    LEAST = "least"
    MOST = "most"
    NAME = "name"
    RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellText:
    """Text for `/bin/sh` on the node. Variables are in its environment (`$VAR_name`); nothing is put into the text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Argv:
    """A program with its arguments, without a shell. An argument is text, or a variable as a whole."""

    words: tuple["str | Variable", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """`{{ vars.name }}` as a whole argument."""

    name: str


Program: TypeAlias = ShellText | Argv


# -- what a step does -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgram:
    """Runs on the node, with no lease, drained or not. Fails if its exit code is not in `ok_codes`.

    What it prints is also written to a file of this host, if one is named: `output`, a dot, and the node's name.
    """

    program: Program
    env: Mapping[str, str] = field(default_factory=dict)
    chdir: str | None = None
    ok_codes: frozenset[int] = frozenset({0})
    output: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFiles:
    """As `clbalance copy`. Relative sources are relative to the playbook's folder."""

    sources: tuple[str, ...]
    destination: str
    sync: bool = False
    mode: int | None = None
    checksum: bool = False
    into_shared_folder: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchFiles:
    """As `clbalance fetch`, into a folder of this host; relative to the folder where `play` was typed."""

    sources: tuple[str, ...]
    folder: str


class OnDeadline(StrEnum):
    """What becomes of a node that still has jobs at the drain's deadline: the turn fails, or is left out for this run
    (the node is resumed), or the step goes on nevertheless.
    """

    FAIL = "fail"
    SKIP = "skip"
    FORCE = "force"


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainNode:
    """Marks the node, if `min_available` allows, and waits until no job runs there. `deadline_s` None: for ever."""

    deadline_s: float | None = None
    on_deadline: OnDeadline = OnDeadline.FAIL
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumeNode:
    """Removes the drain mark of this run, or of an earlier run of this playbook that has failed there."""

    earlier_runs: bool = False
    """Also that of an earlier run that has not failed there: it was killed, or has left the node drained on purpose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitFor:
    """Waits until all that is named holds. `where` is a condition on the node's load, as of `--where`."""

    within_s: float
    every_s: float
    port: int | None = None
    """A TCP port that a process listens on."""
    program: Program | None = None
    """Until it exits with 0."""
    where: str | None = None
    no_jobs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reboot:
    """Checks that the node is still drained by us and has no jobs, reboots it, and waits for another boot_id."""

    within_s: float
    program: Program
    even_with_jobs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebalance:
    """As `clbalance rebalance --apply` over the playbook's nodes. Once per run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Waits; or asks on a terminal, and stops the run where there is none (`play --continue` goes on)."""

    seconds: float | None = None
    ask: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assert:
    """Fails with `message` unless the condition is true. Unknown is not true."""

    that: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Tells somebody: a program on this host, or a POST of one JSON value to `url`. A failure is only a warning."""

    program: Program | None = None
    url: str | None = None
    message: str = ""
    within_s: float = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHealth:
    """A program with Nagios' exit codes: 0 passes, 1 and 2 fail, 3 or no answer is unknown and changes nothing.

    The node is healthy once it has passed `passes` times in a row, and sick once it has failed `fails` times in a row.
    """

    program: Program
    passes: int = 1
    fails: int = 3
    every_s: float = 5.0
    within_s: float = 300.0


Action: TypeAlias = (
    RunProgram
    | CopyFiles
    | FetchFiles
    | DrainNode
    | ResumeNode
    | WaitFor
    | Reboot
    | Rebalance
    | Pause
    | Assert
    | Notify
    | CheckHealth
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a node's turn. `name` is unique in its list; `path` is its place in the file, such as `steps[2]`."""

    name: str
    path: str
    line: int
    action: Action
    when: str | None = None
    """A condition. Unless it is true the step is skipped; unknown is not true."""
    is_ruled_out: bool = False
    """With these variables `when` is false, whatever the nodes say: the step is skipped on all of them."""
    until: str | None = None
    """A condition on the step's own result. The step is repeated until it is true, `retries` times at most."""
    retries: int = 0
    delay_s: float = 5.0
    register: str | None = None
    """Name for the step's result: `NAME.rc`, `NAME.out` in conditions, `$VAR_NAME` for programs."""
    run_once: bool = False
    """On the first node that comes to it; its result counts for all nodes."""
    throttle: int | None = None
    """At most so many nodes at once are in this step."""
    idempotent: bool = False
    """May be begun again if it is uncertain whether it ran."""
    ignore_errors: bool = False
    timeout_s: float | None = None
    user: str | None = None
    """Login name; None: as for all ssh."""
    sudo: bool = False
    """Under `sudo -n`."""
    on_this_host: bool = False
    """`delegate_to: localhost`: the program runs here, in the node's place."""
    runs_in_check: bool = False
    """`check_mode: false`: the step is carried out in check mode, too. It changes nothing."""


# -- how it goes over the nodes ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """These nodes first. After `soak_s` their health is checked once more; `pause`: then somebody is asked."""

    nodes: Share
    soak_s: float = 0.0
    pause: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Which nodes may have their turn at the same time, and when the run stops by itself."""

    order: NodeOrder = NodeOrder.LEAST
    window: Share | None = None
    """So many turns at once: the next node starts as soon as one has ended. Never together with `serial`."""
    serial: tuple[Share, ...] = ()
    """Batches: the next one starts when all of the last one have ended; the last size is repeated."""
    canary: Canary | None = None
    max_fail_percentage: float | None = None
    """Of all nodes of the run. Above it no further turn is started. None: no failure is tolerated (0)."""
    min_available: Share | None = None
    """So many nodes of the pool stay available, whatever other plays and drains do."""
    stop_after: Share | None = None
    """Pause after so many turns have ended; `play --continue` goes on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Playbook:
    """One checked playbook.

    `steps` is a node's whole turn: a `drain:` of the playbook is its first step, and `health:` and the resume its last
    ones (paths `drain`, `health`, `resume`). `rollback` runs on a node whose turn has failed, and on all nodes of a
    canary that has failed.
    """

    name: str
    description: str
    file: str
    """As typed, or the name of one that ships."""
    text_hash: str
    """SHA-256 of the file, in hexadecimal."""
    hosts: str
    """A node set or a group (`@compute`); empty: must be typed (`-w`, `-g`, `-a`)."""
    pool: str = ""
    """The nodes that `min_available` counts; empty: `hosts`."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """With `-e` applied."""
    missing: frozenset[str] = frozenset()
    """Variables that must be given with `-e` before it can be run."""
    rollout: Rollout = Rollout()
    steps: tuple[Step, ...] = ()
    rollback: tuple[Step, ...] = ()

    @property
    def health(self) -> Step | None:
        """The step of `health:`, which is carried out once more after a canary's soak."""
        return next((step for step in self.steps if step.path == "health"), None)

    def steps_of(self, which: StepList) -> tuple[Step, ...]:
        """The steps of a list, as `StepRecord.index` counts them.

        A rollback starts with the playbook's own `drain:`: a canary that was healthy at first takes jobs again by the
        time it is rolled back.
        """
        if which is StepList.STEPS:
            return self.steps
        first = self.steps[0] if self.steps else None
        if not self.rollback or first is None or first.path != "drain" or not isinstance(first.action, DrainNode):
            return self.rollback
        drain = replace(first.action, on_deadline=OnDeadline.FAIL)
        return (replace(first, path="rollback.drain", action=drain), *self.rollback)
