"""The options of `top`."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass
from clbalance.policy.top.view import View


@dataclass(frozen=True, slots=True, kw_only=True)
class TopOptions:
    """What is shown first, and how often nodes are asked."""

    once: Annotated[bool, Option("--once", help="Print one frame as text; with --json one value.")] = False
    view: Annotated[View, Option("--view", help="The view that is shown first.")] = View.NODES
    filter: Annotated[
        str | None, Option("--filter", metavar="TEXT", help="Only rows with this text, or nodes by an expression.")
    ] = None
    readonly: Annotated[bool, Option("--readonly", help="Without the keys that change anything, or log in.")] = False
    every: Annotated[str, Option("--every", metavar="TIME", help="Ask the nodes this often.")] = "2s"
