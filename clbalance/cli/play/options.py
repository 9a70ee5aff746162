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
        bool, Option("--dry-run", help="Show the plan, and what each step would do. Change nothing.")
    ] = False
    yes: Annotated[bool, Option("--yes", help="Begin without a question.")] = False
    verbose: Annotated[bool, Option("-v", "--verbose", help="Tell of each step on stderr.")] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayLooks:
    """What to show in place of a run."""

    check: Annotated[bool, Option("--check", help="Only check the playbook: is it valid?")] = False
    list_all: Annotated[bool, Option("--list", help="List the playbooks that are found by name.")] = False
    schema: Annotated[bool, Option("--schema", help="Print the JSON Schema of playbooks, for editors.")] = False
