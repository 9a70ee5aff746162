"""Which nodes are meant, beyond their names and what is free on them (docs/design/expressions.md)."""

from typing import Annotated

from typer import Option

from clbalance.cli.options import ResourceOptions
from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, kw_only=True)  # no slots: `RequestOptions` has a second base
class ExpressionOptions:
    """By what was measured of them, and what the settings say."""

    where: Annotated[
        str | None, Option("--where", metavar="EXPR", help="Only nodes and GPUs of which this holds: 'mem > 20G'.")
    ] = None
    order: Annotated[
        str | None, Option("--order", metavar="EXPR", help="Rank by this, smallest first: '-mem:ut'. [by the weights]")
    ] = None


@dataclass(frozen=True, kw_only=True)  # no slots: `RequestOptions` has a second base
class ConstraintOptions(ExpressionOptions):
    """And by what else is there."""

    tolerate: Annotated[
        list[str] | None, Option("--tolerate", metavar="TAINT", help="Also nodes that are tainted so.")
    ] = None
    prefer: Annotated[
        list[str] | None,
        Option("--prefer", metavar="LABEL=VALUE[:WEIGHT]", help="Rather nodes with this label. [weight 4]"),
    ] = None
    near: Annotated[
        list[str] | None, Option("--near", metavar="JOB", help="Only nodes where a job of this name is.")
    ] = None
    apart: Annotated[
        list[str] | None, Option("--apart", metavar="JOB", help="Only nodes where no job of this name is.")
    ] = None
    same: Annotated[
        str | None, Option("--same", metavar="LABEL", help="Only nodes that share one value of this label.")
    ] = None


@dataclass(frozen=True, kw_only=True)
class RequestOptions(ConstraintOptions, ResourceOptions):
    """What each copy takes of its node, what that node must be like, and how one is chosen."""

    policy: Annotated[
        str | None, Option("--policy", metavar="POLICY", help="least, spread, pack, p2c, risk, fgd, random or rr.")
    ] = None
