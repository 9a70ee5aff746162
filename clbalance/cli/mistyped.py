"""What typer raises for what was mistyped."""

import typer

# Everything of that kind; its own name is private since typer vendored click.
MistypedError: type[Exception] = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
