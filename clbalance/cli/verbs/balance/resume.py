"""`clbalance resume`: put drained nodes back into placement."""

import typer

from clbalance.cli.options import EngineOption, NodeOptions, NodesArgument, OutputOptions, SshOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("resume", help="Return nodes to service that you have drained.")(resume)


@takes
def resume(
    nodes: NodeOptions,
    ssh: SshOptions,
    output: OutputOptions,
    engine: EngineOption = None,
    words: NodesArgument = None,
) -> int:
    """Exits 4 if a node could not be reached; 0 otherwise, even if there was no mark of yours."""
    from clbalance.cli.balance.drain_marks import MarkMessages, mark_nodes
    from clbalance.cli.console import Console
    from clbalance.engine.agent.protocol import encode

    messages = MarkMessages(example="clbalance resume node[1-3]", done="resumed", not_root="drains by other users stay")
    if engine not in (None, "ssh"):
        from clbalance.cli.balance.engine_marks import resume_in_engine

        return resume_in_engine(str(engine), nodes.with_words(words), ssh, Console.of(output), messages)
    return mark_nodes(nodes.with_words(words), ssh, Console.of(output), encode("resume"), messages)
