"""Reads what `scontrol --oneliner show node` prints: a line for each node, with words such as `State=IDLE+DRAIN`."""

from collections.abc import Iterator

from clbalance.model import NodeName
from clbalance.model.slurm import SlurmNode

COMMAND = "scontrol --oneliner show node"
_MOST_REASON = 200
_MOST_STATE = 200
_SILENT_MARK = "*"
"""Behind the base state of a node that does not answer the controller; newer versions have the flag, too."""


def slurm_nodes(text: str) -> Iterator[SlurmNode]:
    """The nodes, in order. A line that does not tell a name and a state is left out: "No nodes in the system", say.

    Values may hold blanks, and people write some of them. So each is looked for behind those that come before it, and
    what follows the reason counts as part of it. A long reason is cut, as that of a drain mark is.
    """
    for line in text.split("\n"):
        about, _, reason = line.partition(" Reason=")
        words = about.split()
        state = next((word.removeprefix("State=") for word in words if word.startswith("State=")), "")
        if words and words[0].startswith("NodeName=") and state:
            base, *flags = state[:_MOST_STATE].split("+")
            if base.endswith(_SILENT_MARK):
                base, flags = base.removesuffix(_SILENT_MARK), [*flags, "NOT_RESPONDING"]
            yield SlurmNode(
                node=NodeName(words[0].removeprefix("NodeName=")),
                state=base,
                flags=frozenset(flags),
                reason=reason.strip()[:_MOST_REASON],
            )
