"""Every mistake is told: what is wrong, where, and what to type instead; exit code 2, and never a traceback."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from .command import ARGV, Command

NASTY_NODES = (
    "-oProxyCommand=touch canary", "a;b", "$(touch canary)", "`touch canary`", "a b", "a|touch canary", "../x", "a/../b",
    "user@host", "host:22", "", " ", "@", "@;touch canary", "@gpu-nodes;touch canary;", "@x:y;touch canary", "node[", "node[1-",
    "node[1-9999999999]", "%h", "n\nm", "n\x1b[2J", "é", ".", "-", "--", "node1!node1",
)  # fmt: skip


def told(clbalance: Command, *arguments: str, verb: str = "pick", rc: int = 2) -> str:
    """stderr of a mistake: nothing on stdout, a message, a hint."""
    done = clbalance(verb, *arguments)
    assert (done.rc, done.stdout) == (rc, b""), done
    assert done.stderr.startswith("clbalance: "), done.stderr
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("-g", "gpu-node"), "no group `gpu-node`", "did you mean `gpu-nodes`?"),
        (("-w", "@rack"), "no group `rack`", "`rack1`"),
        (("-g", "zzz"), "no group `zzz`", "known groups: all, cpu, gpu-nodes, rack1, rack2"),
        (("-w", "@cpu&@gpu-nodes"), "the node set is empty", "nodeset"),
        (("-w", "node1", "-x", "node1"), "all 1 named are excluded", "nodeset"),
        (("-w", "-oProxyCommand=touch x"), "= not allowed", "like `node[1-4,7]`"),
        (("-w", "a;b"), "; not allowed", "like `node[1-4,7]`"),
        (("-w", "$(id)"), "$ ( ) not allowed", "like `node[1-4,7]`"),
        (("-w", "-F"), "'-F' is not a node name", "not beginning with `-`"),
        (("-w", "node1", "-l", "-oX"), "`ssh.user` is the string '-oX'", "give a login name"),
        (("-w", "node1", "--pick", "0"), "`--pick` cannot be '0'", "1 or more, or `all`"),
        (("-w", "node1", "--pick", "x"), "`--pick` cannot be 'x'", "1 or more, or `all`"),
        (("-w", "node1", "--pick", "-1"), "`--pick` cannot be '-1'", "1 or more, or `all`"),
        (("-w", "node1", "-t", "soon"), "`-t` cannot be 'soon'", "like `90`"),
        (("-w", "node1", "-o", "'"), '`-o` cannot be "\'": no closing quotation', "such as `-o '-F FILE'`"),
        (("-w", "node1", "-f", "0"), "`-f` cannot be 0", "1 or more"),
        (("--groups-conf", "no-such-file"), "no-such-file: No such file", "groups.conf.example"),
        (("--nodez", "node1"), "--nodez", "`clbalance pick --help`"),
        (("-n", "2"), "-n", "`--pick 2`"),
        (("-w", "root@node1"), "`root@node1` is not a node set", "`-l root` says who logs in, `-w node1` where"),
        (("-w", "node2,root@node1"), "has a user's name", "`-l root` says who logs in, `-w node1` where"),
        (("-g", "@gpu-nodes"), "`@gpu-nodes` is not a group's name", "without the `@`, which is for `-w`: `gpu-nodes`"),
        (("-X", "@gpu-nodes"), "`@gpu-nodes` is not a group's name", "`gpu-nodes`"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_cannot_be_meant_is_told_with_what_could(
    clbalance: Command, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    said = told(clbalance, *arguments)
    first, _, rest = said.partition("\nhint: ")
    assert message in first
    assert hint in rest


def test_no_name_ever_runs_a_command(clbalance: Command, folder: Path) -> None:
    for name in NASTY_NODES:
        done = clbalance("run", "-w", name, "-t", "1", "--", "true")
        assert done.rc in {2, 125}, (name, done)
        assert done.stderr.isprintable() or all(c.isprintable() or c == "\n" for c in done.stderr), name
    for name in ("gpu-nodes;touch canary", "$(touch canary)", "x' ; touch canary; '", "-x"):
        assert clbalance("load", "-g", name).rc == 2, name
        assert clbalance("load", "-X", name).rc == 2, name
    assert list(folder.iterdir()) == []


def test_no_text_of_ours_reaches_a_terminal_raw(clbalance: Command) -> None:
    for done in (
        clbalance("load", "-w", "a\x1b]0;x\x07"),
        clbalance("run", "no\x1b[2Jscript"),
        clbalance("pick", "--pick", "\x1b[2J"),
        clbalance("load", "--groups-conf", "\x1b[2J"),
        clbalance("\x1b[2J"),
        clbalance("load", "--\x1b[2J"),
    ):
        assert done.rc == 2
        assert "\x1b" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ((), "nothing to run", "`clbalance run job.sh`"),
        (("no-such.sh",), "script `no-such.sh`: No such file or directory", "`clbalance run -- no-such.sh`"),
        (("a-folder",), "script `a-folder`: Is a directory", "name a file"),
        (("empty.sh",), "script `empty.sh` is empty", ""),
        (("--pick", "0", "--", "true"), "`--pick` cannot be '0'", "`all`"),
        (("--time-limit", "soon", "--", "true"), "`--time-limit` cannot be 'soon'", "like `90`"),
        (("--time-limit", "0", "--", "true"), "`--time-limit` cannot be '0'", "above 0"),
        (("--env", "1x=2", "--", "true"), "`--env` cannot be '1x=2'", "`--env NAME=VALUE`"),
        (("--env", "UNSET_HERE", "--", "true"), "`--env UNSET_HERE`: it is not set here", "`--env UNSET_HERE=VALUE`"),
        (("--stdin", "nowhere", "--", "true"), "`--stdin nowhere`: No such file", "`--stdin -` for a pipe"),
        (("--name", "a\nb", "--", "true"), "cannot be a job's name", "printable"),
        (("--no-such-option", "job.sh"), "--no-such-option", "`clbalance run --help`"),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_cannot_be_run_is_told_before_any_node_is_asked(
    clbalance: Command, folder: Path, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    (folder / "a-folder").mkdir()
    (folder / "empty.sh").touch()
    said = told(clbalance, "-w", "node1", *arguments, verb="run")
    first, _, rest = said.partition("hint: ")
    assert message in first
    assert hint in rest


def test_a_script_that_may_not_be_read_is_told(clbalance: Command, folder: Path) -> None:
    secret = folder / "secret.sh"
    secret.write_text("true\n")
    secret.chmod(0)
    # root reads everything unless it gives that up.
    drop = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    done = subprocess.run(
        [*drop, *ARGV, "run", "-w", "node1", "secret.sh"],
        env=dict(clbalance.env), cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("clbalance: script `secret.sh`: Permission denied\nhint: it is read here, by you")


def test_a_malformed_groups_conf_is_told_with_file_and_line(clbalance: Command, folder: Path) -> None:
    (folder / "groups.conf").write_text("[Main]\ndefault: local\n\n[local]\nwhat is this\n")
    said = told(clbalance, "--groups-conf", "groups.conf", "-a")
    assert f"{folder}/groups.conf:5: not a groups file: what is this" in said
    assert "groups.conf.example" in said
    (folder / "groups.conf").write_text("no header\n")
    assert "groups.conf:1: not a groups file: no header" in told(clbalance, "--groups-conf", "groups.conf", "-a")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("[ssh]\nfanout = many\n", "(at line 2, column 10)", "https://toml.io"),
        ("[ssh]\nfanout = 'many'\n", '`ssh.fanout` is the string "many"', "a whole number from 1 to 10000"),
        ("[ssh]\nfan_out = 3\n", "unknown key `ssh.fan_out`", "did you mean `ssh.fanout`?"),
        ("[thresholds]\nr1m_per_cpu = -1\n", "`thresholds.r1m_per_cpu` is -1", "a number from 0 to 1000"),
        ("nodes = 3\n", "`nodes` is 3", "begin each entry with `[[nodes]]`"),
    ],
)
def test_a_malformed_clbalance_toml_is_told_with_file_and_key(
    clbalance: Command, folder: Path, text: str, message: str, hint: str
) -> None:
    (folder / "clbalance.toml").write_text(text)
    said = told(clbalance, "-w", "node1")
    assert f"{folder}/clbalance.toml" in said
    assert message.replace('"', "'") in said.replace('"', "'")
    assert hint in said


def test_a_missing_ssh_is_told_with_what_to_install(clbalance: Command, folder: Path) -> None:
    (folder / "bin").mkdir()
    done = clbalance("run", "-w", "node1", "--", "true", env={"PATH": str(folder / "bin")})
    assert (done.rc, done.stdout) == (2, b"")
    assert done.stderr == "clbalance: `ssh` is not on the PATH\nhint: install OpenSSH's client (`openssh-client`)\n"


def test_a_verb_is_asked_for(clbalance: Command) -> None:
    none = clbalance()
    assert none.rc == 2
    assert "Usage: clbalance" in none.stdout.decode() + none.stderr
    unknown = clbalance("lod")
    assert unknown.rc == 2
    assert "lod" in unknown.stderr
    assert "`clbalance --help`" in unknown.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("load", "--json", "-g", "nowhere"),
        ("load", "--format", "json", "--nonsense"),
        ("pick", "--format=json", "--pick", "0"),
        ("pick", "--json", "-w", "node1", "--pick", "2"),
    ],
    ids=" ".join,
)
def test_who_asked_for_json_gets_the_error_as_json_too(clbalance: Command, arguments: tuple[str, ...]) -> None:
    done = clbalance(*arguments)
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    assert document["error"]["exit_code"] == done.rc
    assert document["error"]["message"]
    assert document["error"]["hint"]
    assert done.stderr.startswith("clbalance: ")


def test_a_jobs_own_json_option_is_not_ours(clbalance: Command) -> None:
    assert clbalance("run", "no-such.sh", "--json").stdout == b""


def test_an_option_that_ssh_does_not_know_is_told_in_its_words(clbalance: Command) -> None:
    done = clbalance("load", "-w", "node1", "-o", "-Z")
    assert (done.rc, "unknown option -- Z" in done.text, "local_tun" in done.text) == (4, True, False)


@pytest.mark.parametrize(
    "call", [("pick", "-w", "node2"), ("pick", "-a"), ("load",), ("run", "-w", "node2", "--", "true")]
)
@pytest.mark.parametrize(
    ("node_set", "wrong"), [("node[1-", "is not a node set"), ("@nogrp", "no group `nogrp`"), ("a;b", "; not allowed")]
)
def test_a_set_of_the_settings_that_means_no_nodes_is_told_with_its_file_and_key(
    clbalance: Command, folder: Path, call: tuple[str, ...], node_set: str, wrong: str
) -> None:
    """Though it tells nothing of them: its author thinks that it does."""
    (folder / "clbalance.toml").write_text(f'[[nodes]]\nset = "{node_set}"\n')
    said = told(clbalance, *call[1:], verb=call[0])
    assert said.startswith(f'clbalance: {folder / "clbalance.toml"}: `set = "{node_set}"` under `[[nodes]]`: ')
    assert wrong in said
