"""The options of a run of a playbook."""

from typing import Annotated

from typer import Option

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayOptions:
    """How a playbook is run."""

    variables: Annotated[
        list[str] | None, Option("-e", "--extra-vars", metavar="NAME=VALUE", help="Set a variable of the playbook.")
    ] = None
    dry_run: Annotated[
        bool, Option("--dry-run", help="Ask the nodes: show their order now, and what each step would do there.")
    ] = False
    yes: Annotated[bool, Option("--yes", help="Begin without a question.")] = False
    verbose: Annotated[bool, Option("-v", "--verbose", help="Tell of each step on stderr.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayLooks:
    """What to show in place of a run."""

    check: Annotated[bool, Option("--check", help="Is the playbook valid? Asks no node.")] = False
    explain: Annotated[
        bool,
        Option("--explain", help="Tell in sentences what the playbook does, and what sets each value. Asks no node."),
    ] = False
    list_all: Annotated[bool, Option("--list", help="List the playbooks that are found by name.")] = False
    schema: Annotated[bool, Option("--schema", help="Print the JSON Schema of playbooks, for editors.")] = False
