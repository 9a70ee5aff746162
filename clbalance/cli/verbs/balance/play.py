"""`clbalance play`: run a playbook over nodes, least loaded first (`ansible-playbook`)."""

from typing import Annotated

import typer
from typer import Argument

from clbalance.cli.options import NodeOptions, OutputOptions, SshOptions, takes
from clbalance.cli.play.options import PlayLooks, PlayOptions
from clbalance.cli.play.record_options import RecordOptions, check_one_mode

_HELP = """Run a playbook over nodes: upgrades, configuration, repairs.

The plan is shown first: which nodes in which order, and why. On a terminal it asks before nodes are drained. The run
stops by itself when too many nodes fail; `play --continue` goes on, and `play --rollback` takes it back.

So: clbalance play rolling-upgrade -g compute
"""


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("play", help=_HELP)(play)


@takes
def play(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    options: PlayOptions,
    looks: PlayLooks,
    record: RecordOptions,
    name: Annotated[
        str | None, Argument(metavar="PLAYBOOK|RUN", help="Its name or file; a run for --show, --continue, --rollback.")
    ] = None,
) -> int:
    """Exits 3 if `min_available` cannot be held, 4 if a node failed, 75 if the playbook runs already."""
    from clbalance.cli.console import Console
    from clbalance.playbook.names import parse_variables

    check_one_mode(looks, record, options)
    console, typed = Console.of(output), parse_variables(options.variables or ())
    if looks.check or looks.explain or looks.list_all or looks.schema:
        from clbalance.cli.play.show_playbooks import show_playbooks

        return show_playbooks(console, looks, name, typed, nodes, ssh)
    if record.history or record.show:
        from clbalance.cli.play.past import show_history, show_run

        if record.history:
            return show_history(console, name, record.newest)
        return show_run(console, name, each_step=options.verbose)
    from clbalance.cli.play.run_play import PlayCall

    call = PlayCall(nodes=nodes, ssh=ssh, console=console, options=options)
    if record.go_on:
        from clbalance.cli.play.go_on import Continuing

        return Continuing(
            call=call, word=name, changed=record.changed, repeat_uncertain=record.repeat_uncertain
        ).carry_out()
    if record.roll_back:
        from clbalance.cli.play.roll_back import RollingBack

        return RollingBack(call=call, word=name, changed=record.changed).carry_out()
    from clbalance.cli.play.files import named, read_playbook

    return call.carry_out(read_playbook(named(name), typed))
