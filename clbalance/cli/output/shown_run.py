"""Show a run to the user while it goes on."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.cli.placement_remarks import say_nodes_left_out
from clbalance.errors import ExitCode
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.job_record import Outcome
from clbalance.nodeset import Candidates, NodeSets, fold
from clbalance.render import messages
from clbalance.render.output.streams import JobOutput, PassedThrough

if TYPE_CHECKING:
    from clbalance.cli.run.submission import Submission


class ShownRun:
    """`RunListener` that shows a run to the user."""

    def __init__(self, console: Console, submitted: "Submission", candidates: Candidates) -> None:
        self._console = console
        self._options = submitted.options
        self._candidates = candidates
        self._output: JobOutput = PassedThrough(console.outlets)

    def waiting(self, reason: str) -> None:
        self._console.say(messages.note(f"waiting: {reason}"))

    def migrating(self, job: JobSpec, node: NodeName, reason: str) -> None:
        self._console.say(messages.note(f"job {job.id} moves to {node}: {reason}"))

    def started(self, node: NodeName, limits: tuple[str, ...]) -> None:
        pass

    def placed(self, job: JobSpec, plan: Plan) -> None:
        from clbalance.policy.placement.gpu_rank import unreserved_gpus  # deferred import: docs/design/startup.md
        from clbalance.policy.placement.quorum import was_not_asked

        if self._options.explain:
            self._console.explain(plan)
        message = messages.placed(
            job.id,
            fold(plan.chosen),
            chosen=len(plan.chosen),
            candidates=len(self._candidates.nodes),
            asked=len(self._candidates.nodes) - sum(map(was_not_asked, plan.charged.answers)),
            fitting=len(plan.ranked),
            free_gpus=unreserved_gpus(plan),
        )
        self._console.say(message)
        say_nodes_left_out(self._console, plan, exit_code=ExitCode.NOT_RUN_TO_ITS_END if self._options.strict else None)
        self.show_for(plan)

    def show_for(self, plan: Plan) -> None:
        """Print the output of these nodes from now on."""
        self._output.close()
        self._output = self._output_for(NodeSets(None).expand(fold(plan.chosen)))  # shown in the order of their ranks

    def warned(self, node: NodeName, text: str) -> None:
        self._console.say(messages.warning(f"{node}: {text}"))

    def output(self, node: NodeName, stream: str, piece: bytes) -> None:
        self._output.write(node, stream, piece)

    def cut_off(self, node: NodeName) -> None:
        pass

    def ended(self, outcome: Outcome) -> None:
        self._output.end(outcome.node)

    def close(self) -> None:
        """Print output that was held back."""
        self._output.close()

    def _output_for(self, nodes: Sequence[NodeName]) -> JobOutput:
        options, collected = self._options, self._console.collected
        if collected is not None:
            collected.begin_anew()
            return collected
        shown: JobOutput = PassedThrough(self._console.outlets)
        if options.gather:
            from clbalance.render.output.grouped import Gathered

            shown = Gathered(self._console.outlets, nodes, fold)
        elif len(nodes) > 1 if options.label is None else options.label:
            from clbalance.render.output.labelled import Labelled

            shown = Labelled(self._console.outlets)
        return shown
