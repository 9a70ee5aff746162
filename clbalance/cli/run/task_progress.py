"""Show a run of tasks: output, progress and failed tasks."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clbalance.cli.console import Console
from clbalance.cli.output.file_patterns import FilePatterns
from clbalance.cli.progress import ProgressLine
from clbalance.cli.run.options import JobOptions
from clbalance.model import NodeName, Plan
from clbalance.model.job import JobSpec
from clbalance.model.task import TaskEnded, TaskProgress
from clbalance.nodeset import Candidates, fold
from clbalance.policy.jobs.task_records import summary_of, summary_text
from clbalance.render import messages
from clbalance.render.output.labelled import Labelled
from clbalance.render.output.streams import JobOutput, PassedThrough, task_label
from clbalance.units import counted

if TYPE_CHECKING:  # imported once tasks run, or have ended: docs/design/startup.md
    from clbalance.engine.tasks.run_tasks import TaskJobResult
    from clbalance.render.output.collected import Collected
    from clbalance.render.reports.jobs.run import JobResult


class ShownTasks:
    """`TaskListener` that shows a run of tasks to the user. Progress is shown only on a terminal."""

    def __init__(
        self,
        console: Console,
        options: JobOptions | None,
        candidates: Candidates,
        total: int,
        files: FilePatterns,
    ) -> None:
        """`total`: of tasks. `files`: of their output."""
        self._console = console
        self._options = options
        self._candidates = candidates
        self._total = total
        self._files = files
        self._job: JobSpec | None = None
        self._line = ProgressLine(quiet=console.quiet, after_s=0.0)
        self._output: JobOutput = self._as_asked()

    def waiting(self, reason: str) -> None:
        self._console.say(messages.note(f"waiting: {reason}"))

    def placed(self, job: JobSpec, plan: Plan, slots: Mapping[NodeName, int]) -> None:
        options = self._options
        self._job = job
        if options is not None and options.explain:
            self._console.explain(plan)
        count, where = sum(slots.values()), fold(slots)
        work = f"{counted(self._total, 'task')} on {counted(count, 'slot')} of {where}"
        self._console.say(messages.note(f"job {job.id}: {work} ({len(self._candidates.nodes)} asked)"))

    def warned(self, node: NodeName, text: str) -> None:
        self._clear()
        self._console.say(messages.warning(f"{node}: {text}"))

    def output(self, task: int, node: NodeName, stream: str, piece: bytes) -> None:
        self._clear()
        self._output.write(task_label(task), stream, piece)

    def ended(self, ended: TaskEnded) -> None:
        self._output.end(task_label(ended.number))

    def progressed(self, progress: TaskProgress) -> None:
        if not self._console.outlets.stderr.line.is_open:
            from clbalance.render.reports.jobs.tasks import progress_line

            self._line.show(lambda _: progress_line(progress))

    def close(self) -> None:
        """Print output that was held back."""
        self._clear()
        self._output.close()

    def summary(self, outcome: "TaskJobResult") -> None:
        """Tell how the tasks have ended."""
        from clbalance.cli.jobs.ends import tell_tasks
        from clbalance.render.reports.jobs.run import JobResults

        self._console.stopped(outcome.result.interrupted)
        tell_tasks(self._console, outcome.records, summary_text(summary_of(outcome.records), outcome.result.reason))
        if self._job is not None and self._console.collected is not None:
            self._console.show(JobResults((self._result(self._job, outcome, self._console.collected),)))

    def _result(self, job: JobSpec, outcome: "TaskJobResult", collected: "Collected") -> "JobResult":
        from clbalance.render.reports.jobs.run import JobResult
        from clbalance.render.reports.jobs.tasks import task_document, task_row

        rows = [task_row(record) for record in outcome.records]
        names = self._files.names(job.id, job.attempt)
        at = {task_label(row.task): row for row in rows}

        def file_of(label: NodeName, stream: str) -> str | None:
            row = at[label]
            return None if row.node is None else names.of(NodeName(row.node), stream, task=row.task)

        return JobResult(
            id=job.id,
            name=job.name,
            state=outcome.job_outcome.state.value,
            reason=outcome.job_outcome.reason or None,
            node_set=fold({NodeName(row.node) for row in rows if row.node is not None}),
            rc=outcome.job_outcome.rc,
            attempt=job.attempt,
            tasks=[task_document(row) for row in rows],
            outputs=collected.documents(at, file_of),
        )

    def _as_asked(self) -> JobOutput:
        label = None if self._options is None else self._options.label
        outlets = self._console.outlets
        if self._console.collected is not None:
            return self._console.collected
        return PassedThrough(outlets) if label is False else Labelled(outlets, before=self._clear)

    def _clear(self) -> None:
        self._line.clear()
