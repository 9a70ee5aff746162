"""What `clbalance help VERB` does."""

from collections.abc import Sequence

from clbalance.cli.app import carry_out, command_for
from clbalance.errors import UsageError


def help_of(words: Sequence[str]) -> int:
    """Show the help of a verb. A word that names none is an error: after `run` it would be a script."""
    command = command_for(words)
    for place, word in enumerate(words):
        verbs = getattr(command, "commands", {})
        if not verbs:
            verb = " ".join(words[:place])
            raise UsageError(f"`{verb}` has no verb `{word}`", hint=f"`clbalance help {verb}`")
        if word not in verbs:
            return carry_out([*words[:place], word])  # its error says what is meant
        command = verbs[word]
    return carry_out([*words, "--help"])
