"""Runs and steps in one line."""

from clbalance.model import NodeName
from clbalance.model.play_run import PlayRun, Result, StepEnded, StepList, StepRecord, StepState
from tests.store.build import after, node

NODES = (node("n1"), node("n2"), node("n3"))


def a_run(file: str = "/p/upgrade.yml", *, nodes: tuple[NodeName, ...] = NODES, at: float = 0) -> PlayRun:
    return PlayRun(
        number=0,
        playbook=file.rpartition("/")[2].removesuffix(".yml"),
        file=file,
        text="steps: [{run: uptime}]\n",
        text_hash="ab" * 32,
        typed={"package": "it's\udcff"},
        by="ann",
        submit_host="login1",
        started_at=after(at),
        nodes=nodes,
        pool=(*nodes, node("n9")),
    )


def begun(
    name: str, index: int = 0, *, attempt: int = 1, steps: StepList = StepList.STEPS, at: float = 0
) -> StepRecord:
    return StepRecord(node=node(name), steps=steps, index=index, attempt=attempt, begun_at=after(at))


def ended(
    name: str, index: int = 0, *, state: StepState = StepState.OK, out: str = "", attempt: int = 1, at: float = 0
) -> StepRecord:
    return StepRecord(
        node=node(name),
        steps=StepList.STEPS,
        index=index,
        attempt=attempt,
        begun_at=after(at),
        ended=StepEnded(state=state, reason="exit code 3", result=Result(rc=3, out=out, err="e"), changed=False),
        ended_at=after(at + 1),
    )
