"""Reads what Slurm's programs print of jobs: lines of fields, in the order that we asked for.

`--json` is missing in many installations, and its form changes with each version. Job names are ours, and no other
field that is asked for can hold a `|`.
"""

import re
from collections.abc import Iterator

from clbalance.errors import NodeNameError
from clbalance.model import NodeName
from clbalance.model.slurm import SlurmJob
from clbalance.nodeset import NodeSets

SQUEUE_FORMAT = "%j|%i|%T|%N|%S|%e|%r"
SACCT_FORMAT = "JobName,JobID,State,NodeList,Start,End,ExitCode"
SINFO_FORMAT = "%N|%P|%t"
_MOST_REASON = 200
_NO_VALUE = frozenset({"", "none", "(null)", "unknown", "n/a", "none assigned"})
"""How Slurm's programs print that there is no value, in lower case."""
_EXIT = re.compile(r"(\d{1,3}):(\d{1,3})")


def squeue_jobs(text: str) -> Iterator[SlurmJob]:
    """The jobs of `squeue --noheader --format SQUEUE_FORMAT`."""
    for line in text.splitlines():
        fields = [_value(one) for one in line.split("|", 6)]
        if len(fields) == 7 and fields[0] and fields[2]:
            name, number, state, nodes, began_at, ended_at, reason = fields
            yield SlurmJob(
                name=name,
                id=number,
                state=state,
                reason=reason[:_MOST_REASON],
                nodes=expanded(nodes),
                began_at=began_at,
                ended_at=ended_at,
            )


def sacct_jobs(text: str) -> Iterator[SlurmJob]:
    """The jobs of `sacct --noheader --parsable2 --allocations --format SACCT_FORMAT`. `CANCELLED by 0` is one state."""
    for line in text.splitlines():
        fields = [_value(one) for one in line.split("|")]
        if len(fields) == 7 and fields[0] and fields[2]:
            name, number, state, nodes, began_at, ended_at, exit_code = fields
            rc, signal = _exit_of(exit_code)
            yield SlurmJob(
                name=name,
                id=number,
                state=state.split()[0],
                nodes=expanded(nodes),
                began_at=began_at,
                ended_at=ended_at,
                rc=rc,
                signal=signal,
            )


def exit_of_shown(text: str) -> tuple[int | None, int]:
    """The exit code and the signal in a line of `scontrol --oneliner show job`; None and 0 if they are not told.

    The first `ExitCode=` counts: paths and comments, which people write, stand behind it.
    """
    word = next((word for word in text.split() if word.startswith("ExitCode=")), "")
    return _exit_of(word.removeprefix("ExitCode="))


def sinfo_nodes(text: str) -> Iterator[tuple[NodeName, str, str]]:
    """Node, partition and short state of each line of `sinfo --Node --noheader --format SINFO_FORMAT`.

    The name of the default partition ends with `*`.
    """
    for line in text.splitlines():
        node, _, rest = line.partition("|")
        partition, _, state = rest.rpartition("|")
        if names := expanded(node.strip()):
            yield names[0], partition, state


def expanded(text: str) -> tuple[NodeName, ...]:
    """The nodes of a node list; none if it is not one, as `None assigned`."""
    try:
        return NodeSets(None).expand(text) if text else ()
    except NodeNameError:
        return ()


def _value(text: str) -> str:
    stripped = text.strip()
    return "" if stripped.casefold() in _NO_VALUE else stripped


def _exit_of(text: str) -> tuple[int | None, int]:
    found = _EXIT.fullmatch(text)
    return (int(found[1]), int(found[2])) if found else (None, 0)
