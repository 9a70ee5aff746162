"""The file of this host that gets what a `run` step has printed on one node."""

from dataclasses import replace
from pathlib import Path

from clbalance.errors import ClbalanceError
from clbalance.model.play_run import StepEnded, StepState
from clbalance.user_files.replacing import replace_file
from clbalance.user_files.trees.writing import opened_folder


def with_output_file(ended: StepEnded, path: str) -> StepEnded:
    """Write the output, the errors, and why the step was not good. It fails if that is not possible.

    A file of an earlier run is replaced in any case: what was true then is not mistaken for what is true now. The file,
    and a folder that is made, are their user's alone, for logs may be root's.
    """
    result = ended.result
    printed = () if result is None else (result.out, result.err)
    remark = () if ended.state is StepState.OK else (f"[clbalance: {ended.reason}]",)
    text = "".join(f"{part}\n" for part in (*printed, *remark) if part)
    try:
        folder = Path(path).parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened_folder(str(folder)):
            replace_file(path, text.encode("utf-8", "replace"), mode=0o600)
    except (ClbalanceError, OSError) as error:
        reason = error.message if isinstance(error, ClbalanceError) else str(error)
        state = StepState.FAILED if ended.state is StepState.OK else ended.state
        return replace(ended, state=state, reason="; ".join(one for one in (ended.reason, reason) if one))
    return ended
