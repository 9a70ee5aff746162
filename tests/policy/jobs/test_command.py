"""The command of a job as one text."""

import pytest

from clbalance.model import Request
from clbalance.model.job import Command, JobSpec, Payload, Script, Submitted, TaskRules
from clbalance.policy.jobs.command import command_text


@pytest.mark.parametrize(
    ("payload", "rules", "text"),
    [
        (Script(name="job.sh", content=None, args=("a b", "-n")), None, "job.sh 'a b' -n"),
        (Command(argv=("echo", "$HOME")), None, "echo '$HOME'"),
        (Command(argv=("/bin/sh", "-c", "echo $1; true", "sh", "a b")), None, "echo $1; true 'a b'"),
        (Command(argv=("/bin/sh", "-c", "exit 3", "sh")), TaskRules(), "exit 3"),
        (Command(argv=("/bin/sh", "-c")), TaskRules(), "list of 8 commands"),
        (Command(argv=("/bin/sh", "-c")), None, "/bin/sh -c"),
    ],
    ids=["script", "command", "text", "array", "list", "a bare shell"],
)
def test_it_is_as_typed(payload: Payload, rules: TaskRules | None, text: str) -> None:
    job = JobSpec(id=1, key="0" * 32, name="n", payload=payload, chdir="/", chdir_explicit=False, umask=0)
    assert command_text(Submitted(job=job, request=Request(), candidates=(), rules=rules), 8) == text
