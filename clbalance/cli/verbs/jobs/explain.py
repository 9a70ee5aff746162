"""`clbalance explain`: why a job was placed on its nodes."""

import typer

from clbalance.cli.options import JobArgument, OutputOptions, takes


def register(app: typer.Typer) -> None:
    """Add the verb to `app`."""
    app.command("explain", help="Show why a job was placed on its nodes: the score of each node, or why it was unfit.")(
        explain
    )


@takes
def explain(output: OutputOptions, word: JobArgument = "last") -> int:
    """Exits 0; 2 if there is no such job."""
    from clbalance.cli.console import Console
    from clbalance.cli.jobs.explain import explain_job

    return explain_job(word, Console.of(output))
