"""Carry out `config groups`: node sets by job result, as a group source of ClusterShell."""

from pathlib import Path

from clbalance.cli.console import Console
from clbalance.cli.node_settings import result_file
from clbalance.errors import ExitCode, StoreError
from clbalance.policy.jobs.outcome import Result
from clbalance.render import messages
from clbalance.render.reports.admin.groups import GroupsReport, InstalledReport
from clbalance.store.result_groups import SOURCE, groups_text, read_groups, write_groups
from clbalance.transport.group_install import install_groups


def show_result_groups(console: Console) -> int:
    """Show the file that would be installed. The exit code: 0."""
    path = result_file()
    groups = _groups(path)
    console.show(GroupsReport(path=str(path), groups=groups, text=groups_text(groups)))
    return ExitCode.DONE


def install_result_groups(console: Console) -> int:
    """Link the file into ClusterShell's configuration, and say where. The exit code: 0."""
    path = result_file()
    if not path.exists():
        write_groups(path.parent, _groups(path))
    elif not path.is_file():  # clush would wait for a FIFO
        raise StoreError(f"`{path}` is not a regular file", hint="move it away, then repeat the command")
    done = install_groups(path, SOURCE)
    if done.before == path:
        console.say(messages.note(f"{done.link} points to {path} already"))
    else:
        instead = f", no longer to {done.before}" if done.before else ""
        console.say(messages.note(f"{done.link} now points to {path}{instead}; `clush -w @{SOURCE}:failed` works"))
    before = None if done.before is None else str(done.before)
    console.show(InstalledReport(link=str(done.link), path=str(path), before=before))
    return ExitCode.DONE


def _groups(path: Path) -> dict[str, str]:
    return {result.value: "" for result in Result} | read_groups(path.parent)
