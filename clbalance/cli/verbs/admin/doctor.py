"""`clbalance doctor`: check this host and nodes, and say how to fix what is wrong."""

import typer

from clbalance.cli.options import NodeOptions, NodesArgument, OutputOptions, SshOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("doctor", help="Check this host and nodes for problems, and say how to fix them.")(doctor)


@takes
def doctor(nodes: NodeOptions, ssh: SshOptions, output: OutputOptions, words: NodesArgument = None) -> int:
    """Without nodes: all of them. Exits 4 if something is wrong."""
    from clbalance.cli.admin.doctor import check_nodes, check_this_host
    from clbalance.cli.console import Console

    console, named = Console.of(output), nodes.with_words(words)
    here = check_this_host(named, ssh)
    there = check_nodes(named, ssh, console, here)
    from clbalance.cli.admin.doctor import health_exit_code, health_report
    from clbalance.render import messages

    report = health_report((*here.findings, *there.findings), there.examinations, there.addresses)
    console.show(report)
    console.say(messages.note(report.summary))
    return health_exit_code(report)
