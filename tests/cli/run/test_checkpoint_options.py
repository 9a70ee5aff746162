"""How a job is marked to be moved: bad marks are told at once, with what to type instead."""

import pytest

from clbalance.cli.run.options import JobOptions
from clbalance.cli.run.submission import checkpoint_of
from clbalance.errors import UsageError
from clbalance.model.job import Checkpoint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("USR1", Checkpoint(signal=10)),
        ("SIGUSR1", Checkpoint(signal=10)),
        ("usr2:2m", Checkpoint(signal=12, grace_s=120.0)),
        ("15:1:30", Checkpoint(signal=15, grace_s=90.0)),
    ],
)
def test_a_signal_and_a_time_are_understood(text: str, meant: Checkpoint) -> None:
    assert checkpoint_of(JobOptions(checkpoint=text)) == meant


def test_the_file_is_kept_as_typed() -> None:
    found = checkpoint_of(JobOptions(checkpoint="USR1", checkpoint_file="out/last.ckpt"))
    assert found == Checkpoint(signal=10, file="out/last.ckpt")


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        (JobOptions(checkpoint_file="x"), "`--checkpoint-file` without `--checkpoint`", "such as `--checkpoint USR1`"),
        (JobOptions(checkpoint="NOPE"), "unknown signal 'NOPE'", "such as TERM, USR1 or 10"),
        (JobOptions(checkpoint=""), "unknown signal ''", "such as TERM, USR1 or 10"),
        (JobOptions(checkpoint="0"), "unknown signal '0'", "such as TERM, USR1 or 10"),
        (JobOptions(checkpoint="KILL"), "`--checkpoint KILL`: no job can catch that signal", "such as USR1 or TERM"),
        (JobOptions(checkpoint="USR1:0"), "the time in `--checkpoint` cannot be '0'", "like `90`"),
        (JobOptions(checkpoint="USR1:"), "the time in `--checkpoint` cannot be ''", "like `90`"),
        (JobOptions(checkpoint="USR1", checkpoint_file=""), "`--checkpoint-file` cannot be ''", "a file that"),
        (JobOptions(checkpoint="USR1", pty=True), "a job with `--pty` cannot be moved", ""),
        (JobOptions(checkpoint="USR1", pick="2"), "a job with `--pick` cannot be moved", ""),
    ],
)
def test_what_cannot_be_meant_is_told(options: JobOptions, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as text:
        checkpoint_of(options)
    assert text.value.message.startswith(message)
    assert text.value.hint.startswith(hint)


def test_without_it_a_job_is_not_marked() -> None:
    assert checkpoint_of(JobOptions()) is None
