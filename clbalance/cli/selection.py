"""What node options select, for whoever looks names up."""

from clbalance.cli.options import NodeOptions
from clbalance.nodes import Selection


def selection_of(options: NodeOptions) -> Selection:
    """Without any nodes: every one there is."""
    return Selection(
        nodes=tuple(options.nodes or ()),
        groups=tuple(options.groups or ()),
        everything=options.everything or not options.names_nodes,
        exclude=tuple(options.exclude or ()),
        exclude_groups=tuple(options.exclude_groups or ()),
    )
