"""Tell the plan of a job as it was made, refusals at admission included."""

from clbalance.cli.job_world import one_job
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import open_memory
from clbalance.errors import ClbalanceError, ExitCode
from clbalance.nodes import fold
from clbalance.render import talk


def explain_job(word: str, screen: Screen) -> int:
    """The exit code of `clbalance explain`."""
    with open_memory(screen) as (_, journal):
        record = one_job(journal, word)
        placed = journal.placed(record.id)
    if not placed:
        raise ClbalanceError(
            f"job {record.id} was never placed" + (f": {record.reason}" if record.reason else ""),
            hint="`clbalance pick --explain` says why not, node by node",
        )
    for one in placed:
        if len(placed) > 1:
            screen.say(talk.note(f"job {record.id}, attempt {one.attempt}, on {fold(one.plan.chosen)}"))
        folded = fold(one.plan.chosen)
        screen.print(screen.renderer.explain(one.plan, folded) or screen.renderer.pick(one.plan, folded))
    return ExitCode.DONE
