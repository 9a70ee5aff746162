"""What users see, to the letter."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from clbalance.errors import NothingFitsError
from clbalance.job import Cancelled, CopyRecord, Exited, Intent, Killed, Lost, NotStarted, Outcome, Placed, TimedOut
from clbalance.model import Cause, NodeName, Qos, Unfit
from clbalance.render.job_limits import job_limits
from clbalance.render.jobs import JobRow
from clbalance.render.rebalance import pool_heading, remarks
from clbalance.render.renderer import Format, Renderer, renderer
from clbalance.render.views import JobReport
from tests.render.build import plan, score, small_cluster
from tests.render.rebalances import DONE, PLANNED, POOL

Golden = Callable[[str, str], None]

_FORMS: dict[str, Renderer] = {
    "80": renderer(Format.HUMAN, terminal_width=80, color=False),
    "140": renderer(Format.HUMAN, terminal_width=140, color=False),
    "pipe": renderer(Format.HUMAN, terminal_width=None, color=False),
    "json": renderer(Format.JSON, terminal_width=None, color=False),
    "plain": renderer(Format.PLAIN, terminal_width=None, color=False),
}
_each_form = pytest.mark.parametrize("form", _FORMS)

_PLAN = plan(
    [score("node1", 95.25), score("node3", 95.25), score("node10", 81.0, told="r1m 3.52 + 1 asked on 32 cpus")],
    ["node1"],
    [
        Unfit(node=NodeName("node2"), filter="thresholds", reason="load above 1.00", detail="load is 1.406"),
        Unfit(node=NodeName("node7"), filter="silent", reason="silent", detail="unreachable: No route to host"),
        Unfit(node=NodeName("node9"), filter="excluded", reason="excluded"),
    ],
)


_JOBS = (
    JobRow(
        id=7, name="train", user="ann", state="RUNNING", reason="", rc=None, node_set="gpu[1-4]", seconds=3725.0, attempt=1
    ),
    JobRow(
        id=8,
        name="[red]a-name-that-is-longer-than-anybody-reads",
        user="ann",
        state="PENDING",
        reason="0/12 nodes fit: 5 load above 0.80, 4 load unknown, 3 drained",
        rc=None,
        node_set="",
        seconds=None,
        attempt=1,
    ),
    JobRow(id=9, name="x", user="ann", state="FAILED", reason="", rc=3, node_set="n1", seconds=0.5, attempt=3),
    JobRow(
        id=None, name="-", user="uid 12", state="RUNNING", reason="submitted elsewhere", rc=None, node_set="n[1,3]",
        seconds=61.0, attempt=1,
    ),
)  # fmt: skip


def _outcome(rank: int, end: object, seconds: float = 1.5) -> Outcome:
    return Outcome(node=NodeName(f"node{rank + 1}"), rank=rank, end=end, seconds=seconds)  # type: ignore[arg-type]


_REPORT = JobReport(
    id=17,
    name="job.sh",
    node_set="node[1-7]",
    outcomes=(
        _outcome(0, Exited(rc=0), 0.31),
        _outcome(1, Exited(rc=3), 12.4),
        _outcome(2, Killed(signal=9)),
        _outcome(3, TimedOut(limit_s=90.0), 90.0),
        _outcome(4, Cancelled(why="stopped by signal 2")),
        _outcome(5, NotStarted(why="nosuch: command not found", rc=127), 0.0),
        _outcome(6, Lost(cause=Cause.LOST, why="connection closed by remote host"), 3725.0),
    ),
)


def _name(verb: str, form: str) -> str:
    return f"{verb}-{form}.{'json' if form == 'json' else 'txt'}"


@_each_form
def test_load(form: str, golden: Golden) -> None:
    golden(_name("load", form), _pretty(_FORMS[form].load(small_cluster())))


@_each_form
def test_pick(form: str, golden: Golden) -> None:
    golden(_name("pick", form), _pretty(_FORMS[form].pick(_PLAN, "node1")))


@_each_form
def test_explain(form: str, golden: Golden) -> None:
    golden(_name("explain", form), _pretty(_FORMS[form].explain(_PLAN, "node1")))


@_each_form
def test_explain_job(form: str, golden: Golden) -> None:
    nowhere = plan(
        [], [], [Unfit(node=NodeName("node1"), filter="excluded", reason="excluded", detail="it failed there")]
    )
    placed = [Placed(attempt=1, claim=1, plan=_PLAN), Placed(attempt=2, claim=2, plan=nowhere)]
    kept = ("cpus 0-1 by affinity", "memory 2 GiB watched every 0.5 s (no scope: \x1b[31msystemd does not run there)")
    copies = [
        CopyRecord(
            attempt=1,
            claim=1,
            intent=Intent(node=NodeName(name), rank=rank, boot_id="b", birth="c"),
            outcome=None,
            limits=kept if rank else (),
        )
        for rank, name in enumerate(("node9", "node1", "node2"))
    ]
    limits = job_limits(Qos.BURSTABLE, copies)
    golden(_name("explain-job", form), _pretty(_FORMS[form].explain_job(placed, limits)))


@_each_form
def test_jobs(form: str, golden: Golden) -> None:
    golden(_name("jobs", form), _pretty(_FORMS[form].jobs(_JOBS)))


@_each_form
def test_run(form: str, golden: Golden) -> None:
    golden(_name("run", form), _pretty(_FORMS[form].run(_REPORT)))


@_each_form
def test_error(form: str, golden: Golden) -> None:
    error = NothingFitsError("0/12 nodes fit: 5 load above 1.00, 7 silent", hint="`clbalance load` shows them")
    golden(_name("error", form), _pretty(_FORMS[form].error(error)))


def _pretty(text: str) -> str:
    """JSON over many lines, so that a change of it can be read."""
    return json.dumps(json.loads(text), indent=1) + "\n" if text.startswith('{"schema"') else text


@_each_form
def test_a_plan_of_moves(form: str, golden: Golden) -> None:
    told = "".join(f"{line}\n" for line in (pool_heading(POOL), *remarks(POOL)))
    golden(_name("rebalance", form), _pretty(_FORMS[form].rebalance(PLANNED)) + (told if form == "pipe" else ""))


@_each_form
def test_what_was_moved(form: str, golden: Golden) -> None:
    lines = "".join(map(_FORMS[form].rebalance_deed, DONE))
    done = replace(PLANNED, deeds=DONE, applied=True)
    golden(_name("rebalance-done", form), lines + _pretty(_FORMS[form].rebalance_done(done)))
