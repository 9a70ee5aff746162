"""Carry out `show` for running jobs that others have submitted, or oneself elsewhere."""

from collections.abc import Mapping, Sequence

from clbalance.cli.console import Console
from clbalance.cli.jobs.leased import leased_services, log_leased, owner_name, shown_name
from clbalance.cli.options import ReachOptions
from clbalance.engine.jobs.leased import kept_specs, look_at
from clbalance.engine.services import Services
from clbalance.errors import ExitCode
from clbalance.policy.jobs.leased import JobName
from clbalance.policy.jobs.leased_view import KeptSpec, LeasedView
from clbalance.render import messages
from clbalance.render.reports.jobs.leased import LeasedReport


def show_leased(
    names: Mapping[str, JobName], node_sets: Sequence[str], ssh: ReachOptions, console: Console, opened: Services
) -> int:
    """Show the jobs of these names; the exit code. For the parameters see `leased_services`."""
    with leased_services(names, node_sets, ssh, console, opened) as (services, jobs):
        for job in jobs:
            log_leased(services, console, "show", job, "read")
        views = [
            LeasedView(job=job, owner=owner_name(job.uid), spec=spec or KeptSpec(), copies=look_at(services, job))
            for job, spec in zip(jobs, kept_specs(services, jobs), strict=True)
        ]
    console.show(LeasedReport(views))
    silent = [(copy.node, view.job) for view in views for copy in view.copies if copy.state is None]
    for node, job in dict.fromkeys(silent):
        console.say(messages.warning(f"{node}: it has not told how job {shown_name(job)} stands"))
    return ExitCode.SOME_NODES_FAILED if silent else ExitCode.DONE
