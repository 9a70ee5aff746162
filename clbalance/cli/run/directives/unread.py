"""Remarks about lines in a script that look like options, and are not read. Pure."""

import re
import shlex
from collections.abc import Iterable, Iterator

from clbalance.cli.run.directives.comments import CommentLine
from clbalance.cli.run.directives.sbatch import translate
from clbalance.cli.run.directives.sbatch_lines import SBATCH_LINE, sbatch_options
from clbalance.cli.run.work import script_name
from clbalance.errors import UsageError
from clbalance.render.text import escape_line

_MOST_LINES = 3
"""Lines that are shown one by one."""
_CLB = re.compile(rb"#CLB(?:[ \t].*)?")
_NEARLY_CLB = re.compile(rb"\s*#+\s*CLB\s*:?\s*(-.*)", re.IGNORECASE)
_OTHER_SYSTEMS = re.compile(rb"(#(?:PBS|BSUB|MSUB|OAR|COBALT|flux:|\$))\s+-")
_VARIABLE = re.compile(rb"(?<![A-Za-z0-9_])SLURM_[A-Z_]+")
_SRUN = re.compile(rb"^[^#\n]*\bsrun[ \t]", re.MULTILINE)
_COUNTERPARTS = {
    "SLURM_ARRAY_JOB_ID": "CLBALANCE_JOB_ID",
    "SLURM_ARRAY_TASK_ID": "CLBALANCE_TASK_ID",
    "SLURM_JOBID": "CLBALANCE_JOB_ID",
    "SLURM_JOB_ID": "CLBALANCE_JOB_ID",
    "SLURM_JOB_NAME": "CLBALANCE_JOB_NAME",
    "SLURM_JOB_NODELIST": "CLBALANCE_NODELIST",
    "SLURM_JOB_NUM_NODES": "CLBALANCE_NNODES",
    "SLURM_NNODES": "CLBALANCE_NNODES",
    "SLURM_NODEID": "CLBALANCE_NODEID",
    "SLURM_NODELIST": "CLBALANCE_NODELIST",
    "SLURM_RESTART_COUNT": "CLBALANCE_RESTART_COUNT",
    "SLURM_SUBMIT_DIR": "CLBALANCE_SUBMIT_DIR",
    "SLURM_SUBMIT_HOST": "CLBALANCE_SUBMIT_HOST",
}


def remarks_on(
    content: bytes, lines: list[CommentLine], path: str, *, not_taken: tuple[str, ...], with_sbatch: bool
) -> tuple[str, ...]:
    """The remarks, a sentence each. `not_taken`: what `--sbatch` could not take over."""
    script = "stdin" if path == "-" else escape_line(path)
    has_own = any(line.is_leading and _CLB.fullmatch(line.text) for line in lines)
    has_sbatch = any(line.is_leading and SBATCH_LINE.fullmatch(line.text) for line in lines)
    found = [*_misplaced(lines, script, with_sbatch=with_sbatch)]
    if not_taken:
        found.append(f"{script}: not taken over from its #SBATCH lines: {', '.join(map(escape_line, not_taken))}")
    if has_sbatch and not has_own and not with_sbatch:
        found.append(_unread_sbatch(lines, path, script))
    if has_sbatch and with_sbatch:
        found += _of_slurm(content, script)
    if not has_own:
        found += _of_other_systems(lines, script)
    return tuple(found)


def _misplaced(lines: list[CommentLine], script: str, *, with_sbatch: bool) -> list[str]:
    """Lines that are not written as they must be, or that stand behind the first command."""
    found = list(_misplaced_each(lines, script, with_sbatch=with_sbatch))
    more = len(found) - _MOST_LINES
    return found if more <= 1 else [*found[:_MOST_LINES], f"{script}: {more} more such lines are not read"]


def _misplaced_each(lines: list[CommentLine], script: str, *, with_sbatch: bool) -> Iterator[str]:
    for line in lines:
        is_read = _CLB.fullmatch(line.text) or (with_sbatch and SBATCH_LINE.fullmatch(line.text))
        nearly = None if is_read else _NEARLY_CLB.fullmatch(line.text)
        if nearly:
            yield f"{script}:{line.number}: `{_shown(line.text)}` is not read: write `#CLB {_shown(nearly[1])}`"
        elif is_read and not line.is_leading and b" -" in line.text.replace(b"\t", b" "):
            yield f"{script}:{line.number}: `{_shown(line.text)}` is not read: it stands behind the first command"


def _unread_sbatch(lines: list[CommentLine], path: str, script: str) -> str:
    try:
        words = translate(sbatch_options(lines, script), script_name(path)).words
    except UsageError:
        words = []
    instead = f", or write `#CLB {escape_line(shlex.join(words))}`" if words else ""
    return f"{script}: its #SBATCH lines are not read: `run --sbatch` reads them{instead}"


def _of_slurm(content: bytes, script: str) -> Iterator[str]:
    names = sorted({name.decode() for name in _VARIABLE.findall(content.partition(b"\0")[0])})
    if names:
        yield f"{script}: variables of Slurm are not set here: {', '.join(map(_counterpart, names))}"
    if _SRUN.search(content):
        hint = 'leave it out, or use `mpirun --hostfile "$CLBALANCE_HOSTFILE"`'
        yield f"{script}: `srun` starts processes under Slurm only: {hint}"


def _counterpart(name: str) -> str:
    return f"{name} is {_COUNTERPARTS[name]}" if name in _COUNTERPARTS else f"{name} has no counterpart"


def _of_other_systems(lines: Iterable[CommentLine], script: str) -> list[str]:
    marks = {found[1].decode() for line in lines if line.is_leading and (found := _OTHER_SYSTEMS.match(line.text))}
    return [f"{script}: its {mark} lines are not read: options stand in #CLB lines" for mark in sorted(marks)]


def _shown(text: bytes) -> str:
    return escape_line(text.decode(errors="replace").strip())
