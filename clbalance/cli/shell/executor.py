"""Carry out one line of the shell."""

import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

from clbalance.cli.shell.children import ctrl_c_is_for_children, wait_for
from clbalance.cli.shell.current_set import CurrentSet
from clbalance.cli.shell.node_words import NodeWords
from clbalance.cli.shell.own_verbs import run_verb
from clbalance.cli.verbs import VERBS
from clbalance.errors import ClbalanceError, ExitCode, Interrupted, UsageError
from clbalance.model import NodeName
from clbalance.policy.shell.guard import dangerous_word, mistyped_verb
from clbalance.policy.shell.line import (
    OWN_WORDS,
    Action,
    ChangeSet,
    Leave,
    RunHere,
    RunOnNodes,
    RunVerb,
    ShowHelp,
    ShowSet,
    UseNodes,
    actions_of,
    first_word,
)
from clbalance.render.text import escape_line
from clbalance.settings.values import ShellSettings
from clbalance.units import counted

_HELP = """\
COMMAND          run it on the current nodes, whole: quotes, |, > and ; are for the shell there
VERB ...         a verb of clbalance, on the current nodes; | and > after it are taken here, ; ends it
use NODES        make NODES the current nodes, such as use @gpu!gpu3, or @gpu alone; use alone: those at the beginning
+NODES -NODES    add nodes, take nodes away; &NODES keeps only those
?                show the current nodes
@idle @busy @drained @suspect @gpu-idle @best:4    nodes as they are now, in any node set (or @clb:idle ... @clb:best-4)
@ok @failed @timeout @unreachable                  nodes of the last result (or @clb:ok ...)
!COMMAND         run it here
command COMMAND  run on the nodes what has the name of a verb
help VERB        the help of a verb; exit, or Ctrl-D, leaves

verbs: """


class LeaveShell(Exception):  # noqa: N818 - no error
    """`exit` was typed, perhaps with a code."""

    def __init__(self, code: int | None) -> None:
        super().__init__()
        self.code = code


class Executor:
    """The current set, and what lines do with it."""

    def __init__(
        self,
        everything: tuple[NodeName, ...],
        expand: Callable[[str], tuple[NodeName, ...]],
        *,
        words: NodeWords,
        run: Callable[[Sequence[NodeName], str], int],
        names_nodes: bool,
        asks: ShellSettings,
        can_ask: bool,
        yes: bool,
    ) -> None:
        """`run` runs a command on nodes. `names_nodes`: the shell began with nodes that were named."""
        self.current = CurrentSet(everything, lambda text: expand(words.in_set(text)))
        self._words = words
        self._run = run
        self._names_nodes = names_nodes
        self._asks = asks
        self._can_ask = can_ask
        self._yes = yes
        self._confirmed: tuple[NodeName, ...] = ()
        """Many nodes that were asked about already."""
        self._is_unsure = False
        """Whether nodes could not be chosen, and nobody has seen it: the ones before are hardly meant."""

    def carry_out(self, line: str) -> int:
        """The exit code of what the line asks for last. `ClbalanceError` for what cannot be done."""
        if "\0" in line:
            raise UsageError("the line has a NUL character, which no command can have")
        code: int = ExitCode.DONE
        for action in actions_of(line, VERBS):
            code = self._do(action)
        return code

    def _do(self, action: Action) -> int:
        match action:
            case UseNodes() | ChangeSet():
                self._choose(action)
            case ShowSet():
                print(f"{self.current.folded} ({counted(len(self.current.nodes), 'node')})", flush=True)  # noqa: T201
            case ShowHelp():
                print(_HELP + " ".join(VERBS), flush=True)  # noqa: T201
            case Leave(code=given):
                raise LeaveShell(given)
            case RunHere(command=command):
                return _here(command)
            case RunVerb():
                meant = replace(action, words=tuple(self._words.in_verb(action.words)))
                return run_verb(meant, self._nodes_of_verbs)
            case RunOnNodes(command=command):
                self._check_chosen()
                self._check(command)
                return self._run(self.current.nodes, command)
            case _:
                assert_never(action)
        return ExitCode.DONE

    def _choose(self, action: UseNodes | ChangeSet) -> None:
        try:
            if isinstance(action, ChangeSet):
                self.current.change(action)
            else:
                self.current.use(action.text)
                self._is_unsure = False
        except ClbalanceError as error:
            self._is_unsure = not self._can_ask
            stays = f"the current nodes stay {self.current.short}"
            error.hint = f"{error.hint}; {stays}" if error.hint else stays
            raise

    def _check_chosen(self) -> None:
        if self._is_unsure:
            hint = "`use NODES` chooses them; with `-e` a script ends at its first failure"
            raise UsageError("not run: an earlier line could not choose its nodes", hint=hint)

    def _nodes_of_verbs(self) -> str | None:
        """The current set, if verbs that name no nodes are to be limited to it."""
        self._check_chosen()
        return self.current.folded if self.current.is_narrowed or self._names_nodes else None

    def _check(self, command: str) -> None:
        """Ask about what may not be meant. `UsageError` if it is not done."""
        count = counted(len(self.current.nodes), "node")
        if (verb := mistyped_verb(command, {*VERBS, *OWN_WORDS})) is not None:
            word = first_word(command)
            hint = f"did you mean `{verb}`? `command {word}` runs it on the nodes"
            self._ask(f"`{word}` is no verb; it is almost `{verb}`. Run it on {count}", hint=hint)
        if self._yes:
            return
        if (danger := dangerous_word(command, self._asks.confirm)) is not None:
            self._ask(f"`{danger}` on {count}: {self.current.folded}. Run it", hint="`--yes` does without a question")
        most = self._asks.confirm_nodes
        if most is not None and len(self.current.nodes) > most and self.current.nodes != self._confirmed:
            self._ask(f"The current set has {count}. Run commands on all of them", hint="`--yes` does so")
            self._confirmed = self.current.nodes

    def _ask(self, question: str, *, hint: str) -> None:
        if not self._can_ask:
            raise UsageError(f"not run, and nobody can be asked: {question}?", hint=hint)
        sys.stderr.write(f"{escape_line(question)}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise UsageError("not run", hint=hint)


def _here(command: str) -> int:
    if not command:
        raise UsageError("`!` needs a command after it", hint="such as `!date`")
    with ctrl_c_is_for_children():
        code = wait_for(subprocess.Popen(["/bin/sh", "-c", command]))
    if code == -signal.SIGINT:
        raise Interrupted(signal.SIGINT)
    return code if code >= 0 else 128 - code
