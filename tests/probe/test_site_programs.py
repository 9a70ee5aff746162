"""A site's programs in real shells: their texts arrive whole, and one that hangs or floods costs nothing but itself."""

import os
from pathlib import Path

import psutil
import pytest

from clbalance.model import RunQueue, Unknown
from clbalance.model.plugins import (
    CheckState,
    ExternalIndex,
    IndexSource,
    NodeProgram,
    SitePrograms,
    SiteReading,
)
from clbalance.node import probe_script
from clbalance.probe.frame import Answered, probe_request
from clbalance.probe.reading import parse_reading
from clbalance.probe.site_programs import MOST_TEXT_BYTES, section_of, site_script, why_not_sent
from clbalance.probe.site_reading import parse_site

from .answers import NONCE, heard
from .conftest import Node

ODD = """\
#!/bin/sh
# A comment, and indents that count:
text='a "quoted" \\\\ word, 100% of `it`, $HOME @NONCE@ @SECTIONS@ é'
    printf 'odd %s\\n' "${#text}"
[ "$1" != "it's one  argument \\\\" ] || echo "argument 1"
read -r line; echo "stdin ${#line}"
"""


def asked(node: Node, *programs: NodeProgram, fields: tuple[str, ...] = ("odd",)) -> tuple[SiteReading, object]:
    """What the probe says of these programs, each of which is a check and has an index for each field; and the rest."""
    site = SitePrograms(
        programs=programs,
        checks=tuple((program.name, at) for at, program in enumerate(programs)),
        indices=tuple(
            IndexSource(index=ExternalIndex(name=name), program=at, field=name)
            for at in range(len(programs))
            for name in fields
        ),
    )
    script = site_script(programs)
    text = probe_script(programs=script.functions, limits=script.limits).replace("limit=2\n", "limit=60\n")
    lines = node.says(probe_request(text, NONCE, " ".join(map(section_of, range(len(programs))))))
    answer = heard(lines)
    assert isinstance(answer, Answered)
    return parse_site(answer.sections, site, {}), parse_reading(answer.sections).run_queue


def test_a_text_arrives_as_it_is_with_its_arguments_and_no_input(node: Node) -> None:
    program = NodeProgram(name="odd", text=ODD, arguments=("it's one  argument \\",), timeout_s=30)
    found, _ = asked(node, program, fields=("odd", "argument", "stdin"))
    text = 'a "quoted" \\\\ word, 100% of `it`, $HOME @NONCE@ @SECTIONS@ é'
    assert found.value("odd") in {len(text), len(text.encode())}  # busybox counts bytes
    assert (found.value("argument"), found.value("stdin")) == (1, 0)


@pytest.mark.parametrize(
    "text",
    [
        "#!/bin/sh\n[ $# = 2 ] && echo odd ${#1}${#2}",
        "#!/usr/bin/perl\nprint 'odd ', map { length } @ARGV",
        "#!/usr/bin/env python3\nimport sys; print('odd ' + ''.join(str(len(one)) for one in sys.argv[1:]))",
    ],
)
def test_arguments_that_look_like_options_or_places_of_the_script_reach_the_program(node: Node, text: str) -> None:
    program = NodeProgram(name="odd", text=text, arguments=("-w", "@NONCE@ @SECTIONS@"), timeout_s=30)
    found, _ = asked(node, program)
    assert found.value("odd") == 218


@pytest.mark.parametrize(
    ("first", "line"), [("#!/usr/bin/env python3", "print('odd', 2 ** 3)"), ("#! /usr/bin/perl -w", 'print "odd 8\\n"')]
)
def test_other_interpreters_run_their_texts(node: Node, first: str, line: str) -> None:
    found, _ = asked(node, NodeProgram(name="odd", text=f"{first}\n{line}\n", timeout_s=30))
    assert found.value("odd") == 8


def test_one_that_hangs_is_ended_with_all_its_processes_and_the_rest_counts(node: Node, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    hang = NodeProgram(
        name="hang", text='#!/bin/sh\nsleep 3600 &\necho "$$ $!" >"$1"\nwait', arguments=(str(pids),), timeout_s=2
    )
    fine = NodeProgram(name="fine", text="#!/bin/sh\necho odd 5", timeout_s=30)
    found, rest = asked(node, hang, fine)
    assert [check.state for check in found.checks] == [CheckState.UNKNOWN, CheckState.OK]
    assert found.checks[0].text == "did not end within 2 s"
    assert isinstance(found.values[0].value, Unknown)
    assert found.values[1].value == 5
    assert isinstance(rest, RunQueue)
    left = [int(pid) for pid in pids.read_text().split()] if pids.exists() else []
    assert psutil.wait_procs([psutil.Process(pid) for pid in left if psutil.pid_exists(pid)], timeout=60)[1] == []


def test_one_that_leaves_a_process_behind_does_not_do_so_with_each_probe(node: Node, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    text = '#!/bin/sh\nsleep 3600 >/dev/null 2>&1 &\necho "$!" >"$1"\necho odd 5'
    found, _ = asked(node, NodeProgram(name="odd", text=text, arguments=(str(pid),), timeout_s=30))
    assert found.value("odd") == 5
    left = int(pid.read_text())
    assert psutil.wait_procs([psutil.Process(left)] if psutil.pid_exists(left) else [], timeout=60)[1] == []


@pytest.mark.parametrize("line", ["yes", "yes | tr -d '\\n'", "cat /dev/zero"])
def test_one_that_floods_is_cut_off_and_the_rest_counts(node: Node, line: str) -> None:
    found, rest = asked(node, NodeProgram(name="flood", text=f"#!/bin/sh\n{line}", timeout_s=30))
    assert isinstance(found.values[0].value, Unknown)
    assert found.checks[0].text == "printed more than 4 KiB"
    assert isinstance(rest, RunQueue)


def test_a_path_is_run_only_if_it_is_all_roots(node: Node, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("#!/bin/sh\nexit 0\n")
    mine.chmod(0o755)
    real = os.path.realpath("/usr/bin/env")
    paths = {
        real: CheckState.UNKNOWN if real == "/bin/busybox" else CheckState.OK,
        str(mine): CheckState.UNKNOWN,
        "/etc/passwd": CheckState.UNKNOWN,
        "/usr/bin": CheckState.UNKNOWN,
        "/usr/bin/no-such-program": CheckState.UNKNOWN,
    }
    found, _ = asked(node, *(NodeProgram(name=path, path=path, timeout_s=30) for path in paths))
    assert {check.name: check.state for check in found.checks} == paths
    said = [check.text.split(" ", 1)[1] for check in found.checks[1:]]
    refused = "must be a regular file of root, in folders of root, that only root can write to; no links"
    assert said == [refused, "cannot be executed", refused, "is no /usr/bin/no-such-program"]


def test_a_link_to_a_file_of_roots_is_not_followed(node: Node) -> None:
    link = next(path for path in map(Path, ("/bin/sh", "/usr/bin/sh", "/usr/bin/awk")) if path.is_symlink())
    found, _ = asked(node, NodeProgram(name="link", path=str(link), timeout_s=30))
    assert "no links" in found.checks[0].text


def test_without_programs_nothing_is_sent() -> None:
    request = probe_request(probe_script(), NONCE)
    assert b"plugin" not in request
    assert b"@" not in request.replace(b'"$@"', b"").replace(b"$@", b"")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("#!/bin/sh\n", "", id="a shell"),
        pytest.param("#!/usr/bin/env python3\n", "", id="by env"),
        pytest.param("#!/bin/sh -eu\n", "", id="with options"),
        pytest.param("echo 1\n", "first line", id="without a first line"),
        pytest.param("#!/usr/bin/ruby\n", "first line", id="an interpreter that takes no text"),
        pytest.param("#!/bin/sh; rm -rf\n", "first line", id="a first line with more in it"),
        pytest.param("#!/bin/sh /etc/x\n", "first line", id="another file"),
        pytest.param("#!/bin/sh\n\0", "NUL", id="a NUL"),
        pytest.param("#!/bin/sh\n" + "x" * MOST_TEXT_BYTES, "longer than 16 KiB", id="too long"),
    ],
)
def test_a_text_that_cannot_be_sent_is_told_why(text: str, reason: str) -> None:
    assert (why_not_sent(text) == "") == (reason == "")
    assert reason in why_not_sent(text)
