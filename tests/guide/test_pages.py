"""Every command that the pages of docs/guide show works, in the order in which a reader types them.

The pages share the lab of the tests.
"""

import os
import re
import shutil
from contextlib import nullcontext
from itertools import takewhile
from pathlib import Path

import pytest

from clbalance.cli.complete.declared import declared_commands
from clbalance.lab.cluster import Lab

from .pages import GUIDE, PACKAGE, README, ROOT, Block, blocks, programs, type_all

FOR_PROGRAMS = [(page, program) for page in GUIDE for program in sorted(programs(page))]


@pytest.fixture
def reader(tmp_path: Path) -> Path:
    """The folder in which a reader works."""
    folder = tmp_path / "reader"
    folder.mkdir()
    return folder


@pytest.mark.sshd
@pytest.mark.minute
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", GUIDE, ids=lambda page: page.stem)
def test_every_command_of_the_guide_works(page: Path, lab_env: dict[str, str], reader: Path) -> None:
    type_all(page, "", reader, {**lab_env, "PYTHONPATH": PACKAGE})


@pytest.mark.sshd
@pytest.mark.parametrize(
    ("page", "program"), FOR_PROGRAMS, ids=[f"{page.stem}-{program}" for page, program in FOR_PROGRAMS]
)
def test_examples_for_a_program_work_where_it_is(
    page: Path, program: str, lab: Lab, lab_env: dict[str, str], reader: Path
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"the examples of docs/guide/{page.name} for {program} are not run: it is not installed")
    if program == "mpirun":
        put_mpirun_on_nodes(lab)
    type_all(page, program, reader, {**lab_env, "PYTHONPATH": PACKAGE})


def put_mpirun_on_nodes(lab: Lab) -> None:
    """OpenMPI as it must be called for nodes that are all this machine. On a cluster nothing of this is needed."""
    options = "--allow-run-as-root --oversubscribe --mca oob_tcp_if_include lo --mca btl self,tcp"
    ssh = f'OMPI_MCA_plm_rsh_agent="ssh -F {lab.directory}/ssh_config"'
    text = f'#!/bin/sh\n{ssh} exec {shutil.which("mpirun")} {options} "$@"\n'
    for node in lab.nodes:
        (node.folder.bin / "mpirun").write_text(text)
        (node.folder.bin / "mpirun").chmod(0o755)


# -- the pages themselves ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", [README, *GUIDE], ids=lambda page: page.stem)
def test_every_block_that_shows_a_command_is_a_transcript(page: Path) -> None:
    """So none escapes the tests above by its language."""
    assert [block.text for block in blocks(page) if block.language != "console" and "\n$ " in f"\n{block.text}"] == []
    assert len(blocks(page)) * 2 == len(re.findall("^```", page.read_text(), re.MULTILINE))


def test_every_page_of_the_guide_is_in_its_contents() -> None:
    contents = (ROOT / "docs" / "index.md").read_text()
    assert [page.name for page in GUIDE if f"(guide/{page.name})" not in contents] == []


def test_a_transcript_may_show_that_a_command_fails() -> None:
    block = Block("console", "$ false\nno\n$ echo $?\n1\n$ true \\\n    --this\nyes\n$ echo last\n")
    assert list(block.commands()) == [("false", 1), ("true --this", 0), ("echo last", 0)]


@pytest.mark.parametrize(
    ("came", "is_right"),
    [("job 7 on node[1-2], 1 GPU free", True), ("job 7 on node4, 12 GPUs free", True), ("job 7 at node4", False)],
)
def test_a_message_that_is_shown_has_to_come(came: str, reader: Path, *, is_right: bool) -> None:
    page = reader / "page"
    page.write_text(f"```console\n$ echo clbalance: '{came}'\nclbalance: job 1 on node3, 2 GPUs free\n```\n")
    with nullcontext() if is_right else pytest.raises(AssertionError):
        type_all(page, "", reader, {"PATH": os.defpath})


@pytest.mark.parametrize("page", [README, *GUIDE], ids=lambda page: page.stem)
def test_every_option_that_the_text_names_exists(page: Path) -> None:
    """In tables and sentences, where nothing is run: `run --pick 2 -- CMD`."""
    verbs = declared_commands().commands
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for words in (code.removeprefix("clbalance ").split() for code in re.findall(r"`([^`\n]+)`", text)):
        if words and words[0] in verbs:
            known = {name for option in verbs[words[0]].options for name in option.names}
            typed = [word.partition("=")[0] for word in takewhile(lambda word: word != "--", words)]
            assert [word for word in typed if re.match("--?[a-z]", word) and word not in known] == [], words
