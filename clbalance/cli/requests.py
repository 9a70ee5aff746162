"""Turn options into a selection of nodes."""

from clbalance.cli.console import Console
from clbalance.cli.options import ConstraintOptions, NodeOptions
from clbalance.errors import UsageError
from clbalance.nodeset import Candidates, Selection
from clbalance.render import messages

_SHOWN_GROUPS = 3


def selection_of(options: NodeOptions) -> Selection:
    """What the options select; all nodes if none are named."""
    return Selection(
        nodes=tuple(options.nodes or ()),
        groups=tuple(options.groups or ()),
        everything=options.everything or not options.names_nodes,
        exclude=tuple(options.exclude or ()),
        exclude_groups=tuple(options.exclude_groups or ()),
    )


def check_force(options: ConstraintOptions, nodes: NodeOptions) -> None:
    """`UsageError` for `--force` on nodes that were not named one by one."""
    if options.force and (not nodes.nodes or nodes.groups or nodes.everything):
        raise UsageError(
            "`--force` is for nodes that are named by `-w`, without `-g` or `-a`",
            hint="such as `clbalance run -w node3 --force -- uptime`",
        )


def say_left_out(meant: Candidates, console: Console) -> None:
    """Warn about groups that are unusable, so that their nodes are missing in "all" nodes."""
    for reason in meant.left_out[:_SHOWN_GROUPS]:
        console.say(messages.warning(f"a group is left out of all nodes: {reason}"))
    if (more := len(meant.left_out) - _SHOWN_GROUPS) > 0:
        console.say(messages.warning(f"so are {more} more; `clbalance doctor` names them"))
