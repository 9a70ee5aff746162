"""What `doctor` hears from nodes."""

from dataclasses import replace

from clbalance.checkup import Examination, Finding, wrong
from clbalance.cli.health_here import Here
from clbalance.cli.options import NodeOptions, SshOptions
from clbalance.cli.screen import Screen
from clbalance.cli.workplace import Workplace, workplace
from clbalance.engine.check_up import check_up
from clbalance.errors import NodeNameError, SettingsError
from clbalance.lazy_dataclass import dataclass
from clbalance.node import checkup_script


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """The answers of the nodes that are meant; `findings` say why it cannot be told which those are."""

    findings: tuple[Finding, ...] = ()
    examinations: tuple[Examination, ...] = ()


def look_there(nodes: NodeOptions, ssh: SshOptions, screen: Screen, here: Here) -> There:
    """Ask the nodes, if there is a way. Raises `UsageError` for what was typed wrong."""
    if not here.reaches_nodes:
        return There()
    # What is wrong with the state stands in the report already.
    quiet = screen.quiet or any(one.check == "state" for one in here.findings)
    try:
        place = workplace(nodes, ssh, replace(screen, quiet=quiet))
    except NodeNameError as error:
        if nodes.names_nodes or nodes.exclude or nodes.exclude_groups:
            raise  # it was typed
        return There(findings=(wrong("nodes", error.message, error.hint),))
    except SettingsError as error:
        is_told = any(one.what == error.message for one in here.findings)
        return There(findings=() if is_told else (wrong("nodes", error.message, error.hint),))
    return There(examinations=_ask(place))


def _ask(place: Workplace) -> tuple[Examination, ...]:
    with place.world(meanwhile="clbalance.cli.health_report") as world:
        return check_up(world, place.candidates.nodes, checkup_script())
