"""The options that verbs share, in groups; a verb takes a group as one parameter (`takes`).

Short options have the meaning that they have in clush (docs/design/command-line.md).
"""

import functools
import inspect
import signal
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from clbalance.errors import Interrupted
from clbalance.lazy_dataclass import dataclass
from clbalance.render.format import Color, Format

NodesArgument = Annotated[
    list[str] | None, Argument(metavar="[NODES]...", help="Nodes, as for -w.", show_default=False)
]
JobsArgument = Annotated[
    list[str] | None, Argument(metavar="[JOB]...", help="Numbers, ranges, names, `last`.", show_default=False)
]
EngineOption = Annotated[
    str | None, Option("--engine", metavar="ssh|slurm", help="Where: by a mark on the node, or in Slurm. [ssh]")
]
JobArgument = Annotated[str, Argument(metavar="[JOB]", help="A number, a name, or `last`.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The selection of nodes."""

    nodes: Annotated[
        list[str] | None, Option("-w", "--nodes", metavar="NODES", help="Nodes, such as gpu[1-4] or @gpu&@rack1.")
    ] = None
    groups: Annotated[
        list[str] | None, Option("-g", "--group", metavar="GROUP", help="Nodes of a group, such as gpu-nodes.")
    ] = None
    everything: Annotated[bool, Option("-a", "--all", help="All nodes of the default group source.")] = False
    exclude: Annotated[list[str] | None, Option("-x", "--exclude", metavar="NODES", help="Not these nodes.")] = None
    exclude_groups: Annotated[
        list[str] | None, Option("-X", "--exclude-group", metavar="GROUP", help="Not the nodes of this group.")
    ] = None
    groups_conf: Annotated[
        Path | None,
        Option("--groups-conf", metavar="FILE", help="Read groups from this file as well."),
    ] = None

    @property
    def names_nodes(self) -> bool:
        """Whether any nodes are named."""
        return bool(self.nodes or self.groups or self.everything)

    def with_words(self, words: list[str] | None) -> "NodeOptions":
        """The same options, with positional arguments added to `-w`."""
        return replace(self, nodes=[*(self.nodes or []), *(words or [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachOptions:
    """How nodes are reached; None: as the settings say."""

    user: Annotated[str | None, Option("-l", "--user", metavar="USER", help="Log in as this user.")] = None
    connect_timeout: Annotated[
        str | None, Option("-t", "--connect-timeout", metavar="TIME", help="Give up connecting after this. [10s]")
    ] = None
    command_timeout: Annotated[
        str | None, Option("-u", "--command-timeout", metavar="TIME", help="Give up on an answer after this. [5s]")
    ] = None
    ssh_options: Annotated[
        list[str] | None,
        Option("-o", "--options", metavar="OPTIONS", help="Options for ssh, such as '-F FILE' or '-p 2222'."),
    ] = None

    @property
    def connections(self) -> int | None:
        """How many connections are made at once; None: as the settings say."""
        return None

    @property
    def gateways(self) -> str | None:
        """The file that names gateways; None: as the settings say."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class SshOptions(ReachOptions):
    """The same, for verbs that ask many nodes."""

    fanout: Annotated[int | None, Option("-f", "--fanout", metavar="N", help="Connections made at once. [64]")] = None

    @property
    def connections(self) -> int | None:
        """`--fanout` as typed."""
        return self.fanout


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions(SshOptions):
    """The same, for verbs whose question to each node is the only one, or the first of few nodes."""

    topology: Annotated[
        str | None, Option("--topology", metavar="FILE", help="Ask through its gateways, which are trusted. [none]")
    ] = None

    @property
    def gateways(self) -> str | None:
        """`--topology` as typed."""
        return self.topology


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputOptions:
    """The form of the output."""

    format: Annotated[Format, Option("--format", envvar="CLBALANCE_FORMAT", help="Form of the output.")] = Format.HUMAN
    json: Annotated[bool, Option("--json", help="Short for --format json.")] = False
    color: Annotated[Color, Option("--color", help="When to use colours.")] = Color.AUTO
    quiet: Annotated[bool, Option("-q", "--quiet", help="No remarks on stderr, only errors.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What `load` shows."""

    gpus: Annotated[bool, Option("--gpus", help="A line for each GPU: its state, and who is on it.")] = False
    jobs: Annotated[bool, Option("--jobs", help="A line for each job on each node, of all users.")] = False
    heat: Annotated[bool, Option("--heat", help="A map of all nodes: a character each, by load.")] = False
    by: Annotated[
        str | None, Option("--by", metavar="LABEL", help="Group the map by this label, or by `name`. [rack, else name]")
    ] = None
    top: Annotated[
        int | None, Option("--top", metavar="N", help="Show only the N least loaded nodes.", show_default=False)
    ] = None
    forecast: Annotated[
        str | None, Option("--forecast", metavar="TIME", help="The load expected in so long, and the usual error.")
    ] = None
    strict: Annotated[bool, Option("-S", "--strict", help="Exit 4 if any node is silent.")] = False
    watch: Annotated[str | None, Option("--watch", metavar="SECONDS", help="Repeat it every so many seconds.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceOptions:
    """The resources of each copy."""

    cpus: Annotated[
        float | None, Option("--cpus", metavar="N", help="Cpus to reserve; 0: none, use what is free. [1]")
    ] = None
    mem: Annotated[str | None, Option("--mem", metavar="SIZE", help="Memory to reserve, such as 20G.")] = None
    tmp: Annotated[str | None, Option("--tmp", metavar="SIZE", help="Temporary space to reserve (TMPDIR or /tmp).")] = (
        None
    )
    gpus: Annotated[
        int, Option("--gpus", metavar="N", help="Whole GPUs, free ones, reserved for the job.", show_default=False)
    ] = 0
    gpu_share: Annotated[
        float | None, Option("--gpu-share", metavar="SHARE", help="A share of one GPU, such as 0.25.")
    ] = None
    gpu_mem: Annotated[
        str | None, Option("--gpu-mem", metavar="SIZE", help="Memory free on each GPU, such as 20G.")
    ] = None
    slots: Annotated[
        int,
        Option("--slots", metavar="N", help="Slots to take on nodes that have `slots` set. [1]", show_default=False),
    ] = 1
    exclusive: Annotated[bool, Option("--exclusive", help="Share the node with no other job.")] = False
    limit_cpus: Annotated[float | None, Option("--limit-cpus", metavar="N", help="Cpus that it may use at most.")] = (
        None
    )
    limit_mem: Annotated[
        str | None, Option("--limit-mem", metavar="SIZE", help="Kill it when it uses more memory than this.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VerbosityOptions:
    """Remarks on stderr, for verbs whose stdout is the output of jobs."""

    quiet: Annotated[bool, Option("-q", "--quiet", help="No remarks on stderr, only errors.")] = False
    color: Annotated[Color, Option("--color", help="When to use colours.")] = Color.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutputOptions(VerbosityOptions):
    """The same, for verbs that can put that output into a document."""

    json: Annotated[bool, Option("--json", help="Print one JSON value at the end, the output in it.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainOptions:
    """The conditions of a drain."""

    lasting: Annotated[
        str | None, Option("--for", metavar="TIME", help="Resume after this, by the node's clock. [never]")
    ] = None
    until: Annotated[
        str | None, Option("--until", metavar="WHEN", help="Resume then, such as 18:00 or '2026-11-27 06:00'.")
    ] = None
    min_available: Annotated[
        str | None, Option("--min-available", metavar="N", help="Refuse if fewer nodes would remain: a number, or 80%.")
    ] = None
    monitor: Annotated[bool, Option("--monitor", help="Wait until no job runs there any more.")] = False
    deadline: Annotated[
        str | None, Option("--deadline", metavar="TIME", help="Wait at most this long; the nodes stay drained.")
    ] = None
    force: Annotated[bool, Option("--force", help="At the deadline cancel your jobs; as root, all jobs.")] = False

    @property
    def waits(self) -> bool:
        """Whether the verb waits until the nodes are drained, or the deadline has passed."""
        return self.monitor or self.deadline is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RebalanceOptions:
    """The options of `rebalance`."""

    apply: Annotated[
        bool, Option("--apply", help="Carry out the plan; silent if there is nothing to do.", show_default=False)
    ] = False
    dry_run: Annotated[bool, Option("--dry-run", help="Only show the plan. [unless --apply]")] = False
    now: Annotated[
        bool,
        Option("--now", help="Do not wait until several runs have found a node overloaded.", show_default=False),
    ] = False
    max_moves: Annotated[
        int | None, Option("--max-moves", metavar="N", help="Move at most N jobs; 0: only start queued jobs. [5]")
    ] = None
    min_gain: Annotated[
        float | None,
        Option("--min-gain", metavar="GAIN", help="Do not move a job that lowers the load per cpu by less. [0.01]"),
    ] = None
    advise: Annotated[bool, Option("--advise", help="Say what owners of other jobs could do.")] = False
    jitter: Annotated[
        str | None, Option("--jitter", metavar="TIME", help="Start after a random delay of at most this.")
    ] = None


def takes(body: Callable[..., Any]) -> Callable[..., Any]:
    """`body` with the signature that typer needs: each parameter that is a group is replaced by the group's options."""
    parameters = inspect.signature(body).parameters.values()
    kinds = {one.name: one.annotation for one in parameters}
    groups = {name: kind for name, kind in kinds.items() if is_dataclass(kind) and isinstance(kind, type)}
    spread: list[inspect.Parameter] = []
    for parameter in parameters:
        if parameter.name in groups:
            spread += _options_of(groups[parameter.name])
        else:
            spread.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(body)
    def command(**values: Any) -> Any:
        gathered = {
            name: kind(**{one.name: values.pop(one.name) for one in fields(kind)}) for name, kind in groups.items()
        }
        try:
            return body(**gathered, **values)
        except BrokenPipeError as error:  # typer would make it an exit code 1, which could be a job's own
            raise Interrupted(signal.SIGPIPE) from error

    command.__signature__ = inspect.Signature(spread)  # type: ignore[attr-defined]  # what `inspect` looks for
    command.__annotations__ = {one.name: one.annotation for one in spread}
    return command


def _options_of(group: type) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type)
        for one in fields(group)
    ]


# Constraints on nodes, in addition to names and free resources (docs/design/expressions.md).


@dataclass(frozen=True, kw_only=True)  # no slots: `RequestOptions` has a second base
class ExpressionOptions:
    """Constraints on measured values and on facts of the settings."""

    where: Annotated[
        str | None, Option("--where", metavar="EXPR", help="Only nodes and GPUs that meet this: 'mem > 20G'.")
    ] = None
    order: Annotated[
        str | None, Option("--order", metavar="EXPR", help="Sort nodes by this, lowest first: '-mem:ut'. [by score]")
    ] = None


@dataclass(frozen=True, kw_only=True)  # no slots: `RequestOptions` has a second base
class ConstraintOptions(ExpressionOptions):
    """Constraints on taints, labels and other jobs, in addition."""

    tolerate: Annotated[list[str] | None, Option("--tolerate", metavar="TAINT", help="Also nodes with this taint.")] = (
        None
    )
    force: Annotated[bool, Option("--force", help="Ignore thresholds, suspect state, your drains; needs -w.")] = False
    prefer: Annotated[
        list[str] | None,
        Option("--prefer", metavar="LABEL=VALUE[:WEIGHT]", help="Prefer nodes with this label. [weight 4]"),
    ] = None
    near: Annotated[
        list[str] | None, Option("--near", metavar="JOB", help="Only nodes where a job of this name runs.")
    ] = None
    apart: Annotated[
        list[str] | None, Option("--apart", metavar="JOB", help="Only nodes where no job of this name runs.")
    ] = None
    same: Annotated[
        str | None, Option("--same", metavar="LABEL", help="Only nodes with the same value of this label.")
    ] = None
    ask_all: Annotated[bool, Option("--ask-all", help="Ask all nodes, also where a few of many would do.")] = False


@dataclass(frozen=True, kw_only=True)
class RequestOptions(ConstraintOptions, ResourceOptions):
    """The request of each copy: resources, constraints, and the placement policy."""

    policy: Annotated[
        str | None,
        Option("--policy", metavar="POLICY", help="least, spread, pack, p2c, foresee, risk, fgd, random, rr or auto."),
    ] = None
