"""The two shell texts of a Slurm job: the batch script, and what each copy runs. Pure.

The batch script makes the job's claim by one mkdir(2), and ends where the claim exists: so a job that was submitted
twice, or withdrawn while its submission was on the way, runs no second time.
"""

from shlex import join, quote

from clbalance.model.engine import EngineOrder
from clbalance.model.job import Script

CLAIM, CLAIMED, WITHDRAWN = "claim", "claim/job", "claim/withdrawn"
BATCH, COPY, SCRIPT, STDIN, TERMS = "batch", "copy", "script", "stdin", "terms"
EXIT, MESSAGES = "exit", "messages"
"""Files of a job's folder."""

_PASSED = "HUP INT QUIT ALRM USR1 USR2 TERM"
"""Signals for the payload, which the shell around it gets as well: it lives on, to write the exit code."""
_BATCH = """\
#!/bin/sh
# {title}
folder={folder}
mkdir "$folder/{claim}" || {{
    echo "clbalance: this attempt has a claim already: it runs, or was withdrawn" >&2
    exit 125
}}
nodes={nodes}
echo "$SLURM_JOB_ID ${{nodes:-$SLURM_JOB_NODELIST}} $(date +%s)" >"$folder/{claimed}.new" &&
    mv "$folder/{claimed}.new" "$folder/{claimed}" || exit 125
trap : {passed}
{run}
"""
_NODES_BY_RANK = "$(scontrol show hostnames | tr '\\n' ,)"
"""A folded list does not tell their order."""
_RUN_ONE = 'exec /bin/sh "$folder/{copy}"'
_RUN_MANY = """\
srun --export=ALL --cpus-per-task="$SLURM_CPUS_PER_TASK" --kill-on-bad-exit=0 --wait=0 --ntasks-per-node=1 \\
    --output=none --error="$folder/{messages}" --open-mode=append /bin/sh "$folder/{copy}\""""
"""Newer versions give a copy one cpu unless they are told, and a site may let srun end the copies that run longest."""
_COPY = """\
#!/bin/sh
folder={folder}
rank=${{SLURM_PROCID:-0}}
trap : {passed}
(
    exec <"$folder/{stdin}" >"$folder/stdout.$rank" 2>"$folder/stderr.$rank"
    unset SLURM_EXPORT_ENV
    export CLBALANCE_NODELIST="$SLURM_JOB_NODELIST" CLBALANCE_NNODES="$SLURM_JOB_NUM_NODES"
    export CLBALANCE_NODEID="$rank" CLBALANCE_NODE="$SLURMD_NODENAME" CLBALANCE_JOB_DIR="$folder"
    {variables}
    {chdir}
    umask {umask:03o}
    exec {words}
)
rc=$?
echo "$rc $(date +%s)" >"$folder/{exit}.$rank.new" && mv "$folder/{exit}.$rank.new" "$folder/{exit}.$rank"
exit "$rc"
"""


def batch_script(order: EngineOrder, folder: str, *, copies: int) -> str:
    """What sbatch is given. The folder is shared by this host and the nodes."""
    nodes, run = ("", _RUN_ONE) if copies == 1 else (_NODES_BY_RANK, _RUN_MANY)
    run = run.format(copy=COPY, messages=MESSAGES)
    title = f"job {order.job.id} of {order.job.submit_host}, attempt {order.job.attempt}"
    return _BATCH.format(
        title=title, folder=quote(folder), claim=CLAIM, claimed=CLAIMED, nodes=nodes, run=run, passed=_PASSED
    )


def copy_script(order: EngineOrder, folder: str) -> str:
    """What runs on each node of the job: the payload, with its files, its environment and its exit code."""
    job = order.job
    variables = {
        **job.env,
        "CLBALANCE_JOB_ID": str(job.id),
        "CLBALANCE_JOB_NAME": job.name,
        "CLBALANCE_JOB_KEY": order.name,
        "CLBALANCE_SUBMIT_HOST": job.submit_host,
        "CLBALANCE_SUBMIT_DIR": job.submit_dir,
        "CLBALANCE_RESTART_COUNT": str(job.attempt - 1),
        "CLBALANCE_PREV_NODES": job.previous_nodes,
    }
    otherwise = "|| exit 125" if job.chdir_explicit else "2>/dev/null || cd || exit 125"
    return _COPY.format(
        folder=quote(folder),
        variables="\n    ".join(f"export {name}={quote(value)}" for name, value in variables.items()),
        stdin=STDIN,
        chdir=f"cd -- {quote(job.chdir)} {otherwise}",
        umask=job.umask,
        words=_words(order, folder),
        exit=EXIT,
        passed=_PASSED,
    )


def _words(order: EngineOrder, folder: str) -> str:
    """The payload's words, quoted for the shell. A script without a `#!` line is run by /bin/sh."""
    payload = order.job.payload
    if isinstance(payload, Script):
        file = f"{folder}/{SCRIPT}"
        shell = () if (payload.content or b"").startswith(b"#!") else ("/bin/sh",)
        argv = (*shell, file, *payload.args)
    else:
        argv = payload.argv
    return join(("/bin/bash", "-lc", 'exec "$@"', "bash", *argv) if order.job.login else argv)
