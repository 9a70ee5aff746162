"""What node options select, for whoever looks names up."""

from clbalance.cli.options import NodeOptions
from clbalance.cli.screen import Screen
from clbalance.nodes import Candidates, Selection
from clbalance.render import talk

_SAID = 3


def selection_of(options: NodeOptions) -> Selection:
    """Without any nodes: every one there is."""
    return Selection(
        nodes=tuple(options.nodes or ()),
        groups=tuple(options.groups or ()),
        everything=options.everything or not options.names_nodes,
        exclude=tuple(options.exclude or ()),
        exclude_groups=tuple(options.exclude_groups or ()),
    )


def say_left_out(meant: Candidates, screen: Screen) -> None:
    """Warn of groups whose nodes are not among "all" nodes, for they cannot be used."""
    for why in meant.left_out[:_SAID]:
        screen.say(talk.warning(f"a group is left out of all nodes: {why}"))
    if len(meant.left_out) > _SAID:
        screen.say(talk.warning(f"so are {len(meant.left_out) - _SAID} more; `clbalance doctor` names them"))
