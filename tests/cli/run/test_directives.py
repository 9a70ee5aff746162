"""`#CLB` lines: what a script says of itself, what wins over it, and what it may not say."""

import json
from pathlib import Path

import pytest

from clbalance.cli.run.directives.clb import clb_lines
from clbalance.cli.run.directives.comments import comment_lines
from tests.cli.command import Command

SHOW = 'echo "$CLBALANCE_JOB_NAME|$CLBALANCE_NNODES|$A|$B|$*"\n'


def run(alone: Command, folder: Path, text: str, *options: str, args: tuple[str, ...] = ()) -> str:
    """What the script printed."""
    (folder / "job.sh").write_text(text)
    done = alone("run", "-q", *options, "job.sh", *args)
    assert (done.rc, done.stderr) == (0, "")
    return done.text.strip()


def refused(alone: Command, folder: Path, text: str, *options: str) -> str:
    (folder / "job.sh").write_text(text)
    done = alone("run", *options, "job.sh")
    assert (done.rc, done.stdout) == (2, b"")
    return done.stderr


def test_a_script_names_itself_and_what_is_typed_wins(alone: Command, folder: Path) -> None:
    text = f"#!/bin/sh\n#CLB --name mine --env 'A=a  b'\n{SHOW}"
    assert run(alone, folder, text, args=("x", "--name", "y")) == "mine|1|a  b||x --name y"
    assert run(alone, folder, text, "--name", "typed") == "typed|1|a  b||"


def test_what_may_be_given_several_times_adds_up_and_the_typed_comes_last(alone: Command, folder: Path) -> None:
    text = f"#CLB --env A=1\n#CLB --env B=2 --env A=3\n{SHOW}"
    assert run(alone, folder, text) == "job.sh|1|3|2|"
    assert run(alone, folder, text, "--env", "B=typed") == "job.sh|1|3|typed|"


def test_of_a_line_that_says_it_again_the_last_word_counts(alone: Command, folder: Path) -> None:
    assert run(alone, folder, f"#CLB --name a\n#CLB --name b\n{SHOW}") == "b|1|||"


def test_the_lines_end_with_the_first_that_is_no_comment(alone: Command, folder: Path) -> None:
    text = f"#!/bin/sh\n# words\n\n   # more\n#CLB --name a # why\n:\n#CLB --name b --nonsense\n{SHOW}"
    assert run(alone, folder, text) == "a|1|||"


def test_line_ends_of_another_system_do_not_matter(alone: Command, folder: Path) -> None:
    assert run(alone, folder, f"#CLB --name a\r\n#\r\n#CLB --env A=1\r\n{SHOW}") == "a|1|1||"


def test_a_byte_order_mark_hides_no_line(alone: Command, folder: Path) -> None:
    for first in ("#!/bin/sh\n", ""):
        assert run(alone, folder, f"\ufeff{first}#CLB --name a\n{SHOW}") == "a|1|||"
    done = alone("run", "-q", "-", stdin=f"#CLB --name a\n{SHOW}".encode("utf-8-sig"))
    assert (done.rc, done.text) == (0, "a|1|||\n")


CRLF = "ends with a carriage return (CRLF)"


@pytest.mark.parametrize(
    ("content", "reason", "hint"),
    [
        pytest.param(b"#!/bin/sh\r\ntrue\r\n", f"line 1 {CRLF}", "`sed -i 's/\\r$//' job.sh`", id="in the first line"),
        pytest.param(b"#!/bin/sh\ntrue\ntouch a\r\n", f"line 3 {CRLF}", "sed -i", id="behind a first line without"),
        pytest.param(b"#!/bin/sh\n\r\n", f"line 2 {CRLF}", "sed -i", id="an empty line is a command"),
        pytest.param(b"touch a\r", "carriage returns alone", "tr '\\r' '\\n'", id="the last line, alone"),
        pytest.param(b"#!/bin/sh\ntouch a\r", f"line 2 {CRLF}", "sed -i", id="the last line, unfinished"),
        pytest.param(b"#CLB --name a\rtrue\r", "carriage returns alone", "tr", id="of an old Mac"),
        pytest.param("#CLB --name a\ntrue\n".encode("utf-16"), "UTF-16, not UTF-8", "iconv", id="UTF-16"),
        pytest.param("#CLB --name a\ntrue\n".encode("utf-16-be"), "UTF-16BE, not UTF-8", "iconv", id="without a mark"),
        pytest.param(b"\xef\xbb\xbf", "is empty", "", id="nothing but a mark"),
    ],
)
def test_a_script_of_another_system_is_told_and_never_run(
    alone: Command, folder: Path, content: bytes, reason: str, hint: str
) -> None:
    (folder / "job.sh").write_bytes(content)
    done = alone("run", "job.sh")
    assert (done.rc, done.stdout) == (2, b"")
    assert reason in done.stderr
    assert hint in done.stderr
    assert alone("run", "-", stdin=content).rc == 2
    assert [path.name for path in folder.iterdir() if path.name.startswith("a")] == []


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"#!/bin/sh\nexit 7\n\0\r\n\r\n", id="behind a NUL: an archive"),
        pytest.param(b"#!/bin/sh\nx=\r; exit 7", id="within a line, and no final newline"),
        pytest.param(b"# caf\xe9\nexit 7\n", id="Latin-1"),
    ],
)
def test_other_bytes_are_the_scripts_own(alone: Command, folder: Path, content: bytes) -> None:
    (folder / "job.sh").write_bytes(content)
    assert alone("run", "-q", "job.sh").rc == 7


@pytest.mark.parametrize("option", ["--output", "--error"])
def test_an_output_file_whose_name_ends_with_a_carriage_return_is_told(alone: Command, option: str) -> None:
    done = alone("run", option, "out\r", "--", "true")
    assert (done.rc, "it ends with a carriage return" in done.stderr) == (2, True)


def test_a_text_with_line_ends_of_another_system_is_told(alone: Command) -> None:
    done = alone("run", "-c", "touch a\r\ntrue\r\n")
    assert (done.rc, CRLF in done.stderr) == (2, True)


def test_a_script_from_standard_input_is_heeded_too(alone: Command) -> None:
    done = alone("run", "-q", "-", "x", stdin=f"#CLB --name a\n{SHOW}".encode())
    assert (done.rc, done.text) == (0, "a|1|||x\n")


def test_what_is_submitted_is_what_the_script_said_then(clbalance: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("#CLB --limit-cpus 1 --limit-mem 1G --pick 2 --name wide\ntrue\n")
    assert clbalance("run", "-q", "--detach", "-w", "node[1-2]", "job.sh").rc == 0
    assert clbalance("wait", "wide").rc == 0
    (folder / "job.sh").write_text("#CLB --nonsense\n")
    assert clbalance("requeue", "-q", "wide").rc == 0
    (row,) = json.loads(clbalance("jobs", "wide", "--json").stdout)["jobs"]
    assert (row["node_set"], row["qos"], row["attempt"]) == ("node[1-2]", "Guaranteed", 2)


def test_an_array_of_a_script_has_them(alone: Command, folder: Path) -> None:
    (folder / "job.sh").write_text(f"#CLB --env A=1\n{SHOW}")
    done = alone("run", "-q", "--array", "0-1", "job.sh")
    assert (done.rc, sorted(done.lines)) == (0, ["0: job.sh|1|1||", "1: job.sh|1|1||"])


def test_a_script_may_say_that_it_is_an_array(alone: Command, folder: Path) -> None:
    (folder / "job.sh").write_text("#CLB --array 0-1 --max-fail 1\necho $CLBALANCE_TASK_ID\n")
    done = alone("run", "-q", "job.sh")
    assert (done.rc, sorted(done.lines)) == (0, ["0: 0", "1: 1"])


def test_a_typed_share_of_a_gpu_stands_in_for_whole_ones(clbalance: Command, folder: Path) -> None:
    (folder / "job.sh").write_text('#CLB --gpus 2\necho "$CLBALANCE_GPU_SHARE"\n')
    assert clbalance("run", "-q", "-w", "node5", "--gpu-share", "0.5", "job.sh").text == "0.5\n"
    assert clbalance("run", "-q", "-w", "node5", "job.sh").text == "1\n"


def test_a_command_has_no_lines(alone: Command, folder: Path) -> None:
    script = folder / "job.sh"
    script.write_text(f"#!/bin/sh\n#CLB --nonsense\n{SHOW}")
    script.chmod(0o755)
    assert alone("run", "-q", "--", "./job.sh").text == "job.sh|1|||\n"
    assert alone("run", "-q", "-c", ". ./job.sh").text == "sh|1|||\n"


@pytest.mark.parametrize(
    ("line", "reason", "hint"),
    [
        ("--nonsense", "job.sh:2: No such option: --nonsense", "clbalance run --help"),
        ("--gpus many", "job.sh:2: Invalid value for '--gpus'", "clbalance run --help"),
        ("--mem", "job.sh:2: Option '--mem' requires an argument", "clbalance run --help"),
        ("--help", "job.sh:2: No such option: --help", "clbalance run --help"),
        ("-w node1", "job.sh:2: `--nodes` is not allowed in a script", "--gpus"),
        ("--detach", "job.sh:2: `--detach` is not allowed in a script", "--gpus"),
        ("--notify 'rm -r x'", "job.sh:2: `--notify` is not allowed in a script", "--gpus"),
        ("--tasks list", "job.sh:2: `--tasks` is not allowed in a script", "--gpus"),
        ("-c true", "job.sh:2: `-c` is not allowed in a script", "--gpus"),
        ("gpus=2", "job.sh:2: 'gpus=2' is no option", "--gpus"),
        ("-- other.sh", "job.sh:2: 'other.sh' is no option", "--gpus"),
        ("--name 'a", "job.sh:2: No closing quotation", "quote as for a shell"),
    ],
)
def test_what_cannot_be_said_is_told_with_its_place(
    alone: Command, folder: Path, line: str, reason: str, hint: str
) -> None:
    message = refused(alone, folder, f"#!/bin/sh\n#CLB {line}\necho ran\n")
    assert message.startswith(f"clbalance: {reason}")
    assert hint in message.split("hint: ")[1]


def test_a_value_that_cannot_be_is_refused_as_if_it_were_typed(alone: Command, folder: Path) -> None:
    assert "`--mem` cannot be 'x'" in refused(alone, folder, "#CLB --mem x\n")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"#CLB", [(1, "")]),
        (b"#CLB\t--a \n#CLBX --b\n# CLB --c\n#clb --d\n", [(1, "--a")]),
        (b"\x7fELF\n#CLB --a\n", []),
        (b"#CLB \xff\n", [(1, "\udcff")]),
        (b"\n\n  \r\n#CLB --a\r\n#CLB --b", [(4, "--a"), (5, "--b")]),
    ],
)
def test_which_lines_count(content: bytes, lines: list[tuple[int, str]]) -> None:
    assert list(clb_lines(comment_lines(content))) == lines
