"""Real shells, in real terminals: what the Tab key makes of a line, and that nothing in it is ever run."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pexpect
import pytest

from tests.cli.command import Command

SET_UP = {
    "bash": "bind 'set enable-bracketed-paste off'; bind 'set show-all-if-ambiguous on'; "
    "bind 'set completion-query-items 0'; bind 'set page-completions off'; eval \"$(clbalance completion bash)\"",
    "zsh": 'unset zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; eval "$(clbalance completion zsh)"',
}
ARGUMENTS = {"bash": ["--norc", "--noprofile", "-i"], "zsh": ["-f", "-i"]}
Typed = Callable[[str], str]

pytestmark = pytest.mark.usefixtures("state")


@pytest.fixture(params=["bash", "zsh"])
def tab(request: pytest.FixtureRequest, alone: Command) -> Iterator[Typed]:
    """Types a line and a Tab key into a shell; the words of the line as it stands then, each in `<>`."""
    shell = request.param
    require(shell)
    child = pexpect.spawn(
        shell,
        ARGUMENTS[shell],
        env={**alone.env, "TERM": "dumb"},
        cwd=alone.folder,
        encoding="utf-8",
        timeout=100,
        dimensions=(50, 300),
    )

    def typed(line: str) -> str:
        child.send(f"{line}\t")
        child.send("\x01printf '<%s>' \x05; echo '|'\r")  # at the beginning of the line, and at its end
        child.expect(r"(<(?:\./)?clbalance>[^\r\n]*)\|\r\n")
        return str(child.match[1])

    with closing(child):
        child.sendline(f"PS1='> '; {SET_UP[shell]}; echo up'on'")
        child.expect("upon")
        yield typed


def require(shell: str) -> None:
    if shutil.which(shell) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{shell} is missing: `scripts/setup test` installs it", pytrace=False)
        pytest.skip(f"{shell} is missing")


LINES = {
    "clbalance rebal": "<clbalance><rebalance>",
    "clbalance load --connect-t": "<clbalance><load><--connect-timeout>",
    "clbalance load -w gpu-": "<clbalance><load><-w><gpu-a.example>",
    "clbalance load -w node1,sil": "<clbalance><load><-w><node1,silent3>",
    "clbalance load -w @gp": "<clbalance><load><-w><@gpu>",
    "clbalance load -w node1,@gp": "<clbalance><load><-w><node1,@gpu>",
    "clbalance load -w@gp": "<clbalance><load><-w@gpu>",
    "clbalance load --nodes=@gp": "<clbalance><load><--nodes=@gpu>",
    "clbalance load -w @slurm:ba": "<clbalance><load><-w><@slurm:batch>",
    "clbalance load -w '@gpu,@cp": "<clbalance><load><-w><@gpu,@cpu>",
    'clbalance load -w "node1,sil': "<clbalance><load><-w><node1,silent3>",
    "clbalance load -w no": "<clbalance><load><-w><node>",
    "clbalance pick --prefer ra": "<clbalance><pick><--prefer><rack=r1>",
    "clbalance pick --prefer=rack=": "<clbalance><pick><--prefer=rack=r1>",
    "clbalance pick --policy=pa": "<clbalance><pick><--policy=pack>",
    "clbalance cancel tra": "<clbalance><cancel><train>",
    "clbalance logs ''": "<clbalance><logs><>",
    "clbalance run jo": "<clbalance><run><job.sh>",
    "clbalance run --output=jo": "<clbalance><run><--output=job.sh>",
}
EXPANDED = ("'$(touch pwned)", "'`touch pwned`", "'x;touch pwned", "'$HOM", "'n*", "'~roo", "\\$\\(touch\\ pwned\\)")


def test_the_tab_key_completes_the_line_and_runs_nothing_in_it(tab: Typed, alone: Command) -> None:
    Path(alone.folder, "job.sh").touch()
    trap = Path(alone.folder, "clbalance")
    trap.write_text("#!/bin/sh\ntouch pwned\n")
    trap.chmod(0o755)
    assert {line: tab(line) for line in LINES} == LINES
    for word in EXPANDED:
        for words in ("cancel", "load -w", "run --name", "pick --prefer rack="):
            tab(f"clbalance {words} {word}\t{word[0].strip(chr(92))}")
    for words in ("cancel", "load -w", "load -g", "pick --tolerate"):  # the whole list
        tab(f"clbalance {words} \t\t")
    tab("./clbalance lo")
    assert sorted(os.listdir(alone.folder)) == ["clbalance", "job.sh"]


FISH = {
    "clbalance lo": ["load", "logs"],
    "clbalance load --connect-t": ["--connect-timeout"],
    "clbalance load -w node1,": [f"node1,{one}" for one in ("gpu-a.example", "node2", "silent3", "@gpu", "@cpu")],
    "clbalance load -w @": ["@gpu", "@cpu"],
    "clbalance load -w 'node1,@c": ["node1,@cpu"],
    "clbalance pick --policy=p": ["--policy=pack", "--policy=p2c"],
    "clbalance pick --prefer ": ["rack=r1"],
    "clbalance cancel t": ["train"],
    "clbalance cancel '$": [],
    "clbalance cancel n": [],
    "clbalance run jo": ["job.sh"],
    "clbalance run --output=jo": ["--output=job.sh"],
    "clbalance load -w '$(touch pwned)": [],
    "clbalance cancel (touch pwned)": [],
}


def test_fish_offers_the_same(alone: Command) -> None:
    require("fish")
    Path(alone.folder, "job.sh").touch()
    script = 'clbalance completion fish | source; for line in $argv; complete -C "$line"; echo END; end'
    done = subprocess.run(
        ["fish", "--no-config", "-c", script, *FISH],
        env=dict(alone.env),
        cwd=alone.folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert done.stderr == ""
    found = [[one.split("\t")[0] for one in part.splitlines() if one] for part in done.stdout.split("END\n")]
    assert dict(zip(FISH, found, strict=False)) == FISH
    assert os.listdir(alone.folder) == ["job.sh"]
