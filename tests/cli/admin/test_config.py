"""What is set up, where, and whether it is right; and what runs `rebalance` by itself."""

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from clbalance.lab.cluster import Lab
from clbalance.settings.keys import KEYS
from tests.cli.command import ARGV, Command


def shown(command: Command, **env: str) -> dict[str, dict[str, object]]:
    parsed = json.loads(command("config", "show", "--json", env=env).stdout)
    assert parsed["schema"] == 1
    return dict(parsed["settings"])


def test_every_key_is_shown_with_its_value_and_whence_it_came(alone: Command, folder: Path) -> None:
    file = folder / "clbalance.toml"
    file.write_text(
        '[thresholds]\nut_pct = 80\nr1m_per_cpu = "off"\n[policy]\nname = "risk"\n[rebalance]\nhigh = 0.8\nlow = "off"\n'
        'guaranteed = true\n[[nodes]]\nset = "n[1-2]"\nslots = 3\n[[groups]]\ngroup = "gpu"\npolicy = "fgd"\n'
    )
    keys = shown(alone, CLBALANCE_FANOUT="9")
    assert set(KEYS) <= set(keys)
    assert keys["ssh.fanout"] == {"value": 9, "origin": "CLBALANCE_FANOUT"}
    assert keys["ssh.connect_timeout_s"] == {"value": 10.0, "origin": "default"}
    assert keys["thresholds.ut_pct"] == {"value": 80, "origin": str(file)}
    assert keys["thresholds.r1m_per_cpu"] == {"value": "off", "origin": str(file)}
    assert keys["thresholds.mem_available_pct"] == {"value": 5.0, "origin": "default"}
    assert keys["policy.weights.risk"]["value"] != 0, "as the policy has it"
    assert (keys["rebalance.high"]["value"], keys["rebalance.low"]["value"]) == (0.8, "off")
    assert (keys["rebalance.guaranteed"]["value"], keys["rebalance.confirm"]["value"]) == (True, 3)
    assert keys["nodes[1]"] == {"value": {"set": "n[1-2]", "slots": 3}, "origin": str(file)}
    assert keys["groups[1]"] == {"value": {"group": "gpu", "policy": "fgd"}, "origin": str(file)}
    line = next(line for line in alone("config", "show").lines if line.startswith("thresholds.ut_pct"))
    assert line.split() == ["thresholds.ut_pct", str(file), "80"]


def test_where_things_are_looked_for_is_told_also_where_a_file_is_broken(alone: Command, folder: Path) -> None:
    (folder / "clbalance.toml").write_text("[")
    parsed = json.loads(alone("config", "path", "--json").stdout)["places"]
    first = parsed[0]
    assert (first["what"], first["path"], first["is_there"]) == ("settings", str(folder / "clbalance.toml"), True)
    assert "unknown: " in next(one["remark"] for one in parsed if one["what"] == "groups")
    assert (parsed[-1]["what"], parsed[-1]["path"]) == ("state", alone.env["CLBALANCE_STATE_DIR"])
    assert f"{alone.env['HOME']}/.config/clbalance/clbalance.toml" in [one["path"] for one in parsed]


def test_a_file_of_limits_is_checked_before_it_is_put_on_a_node(alone: Command, folder: Path) -> None:
    file = folder / "new.conf"
    file.write_text("Default MaxJobs=2 MaxWall=1d\n# more later\n")
    done = alone("config", "check", "--limits", str(file))
    assert (done.rc, done.stderr) == (0, f"clbalance: {file}: in order: 2 limits\n")
    file.write_text("Default MaxJobs=2\nGroup=a MaxWal=1d\n")
    done = alone("config", "check", "--limits", str(file))
    assert (done.rc, f"{file}: line 2: 'MaxWal=1d': the limits are MaxJobs," in done.stderr) == (2, True)
    for spoilt in (b"\xff\n", b"#" * (65 << 10), b"Default Nodes=n[1- MaxJobs=1\n"):
        file.write_bytes(spoilt)
        assert alone("config", "check", "--limits", str(file)).rc == 2
    assert alone("config", "check", "--limits", str(folder / "none")).rc == 2
    assert alone("config", "check", "x.toml", "--limits", str(file)).rc == 2


def test_settings_in_order_are_said_to_be(alone: Command, folder: Path) -> None:
    done = alone("config", "check")
    assert (done.rc, done.stdout, done.stderr) == (0, b"", "clbalance: no settings file here: the defaults apply\n")
    (folder / "clbalance.toml").write_text('[ssh]\nfanout = 3\n[[nodes]]\nset = "n[1-2]"\n')
    done = alone("config", "check")
    assert (done.rc, done.stderr) == (0, f"clbalance: {folder / 'clbalance.toml'}: in order\n")
    assert alone("config", "check", "-q").stderr == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[ssh]\nfanout = \n", "line 2, column 10"),
        ("[ssh]\nfan_out = 3\n", "unknown key `ssh.fan_out`"),
        ("[rebalance]\nconfirm = 0\n", "`rebalance.confirm` is 0"),
        ('[[nodes]]\nset = "n[1-"\n', '`set = "n[1-"`'),
        ('[[nodes]]\nset = "@gpu"\n', "needs groups"),
        ('[[groups]]\ngroup = "gpu"\n', '`group = "gpu"`'),
        ('[engine]\ngpu = "slurm"\n', '`gpu = "slurm"` in `[engine]`'),
        ("[policy.weights]\nrun_queue = 0\ncpu_use = 0\nmemory = 0\npressure = 0\n", "every weight is 0"),
        ("[rebalance]\nhigh = 0.5\nlow = 0.9\n", "`low` (0.9) is above `high` (0.5)"),
        (
            '[[groups]]\ngroup = "n"\npolicy = "pack"\nweights.packing = 0\n',
            '`group = "n"`: every weight is 0',
        ),
        (
            '[[nodes]]\nset = "n[1-2]"\nlabels = { cpus = "many" }\n',
            "the label `cpus` of `n[1-2]` is a word of `--where`",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(
    alone: Command, tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "tried.toml"
    file.write_text(text)
    done = alone("config", "check", str(file))
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr
    # What several files may have set together is of none of them.
    assert str(file) in done.stderr or message.startswith(("every weight", "`low`"))


def test_a_file_that_is_not_there_is_told(alone: Command) -> None:
    done = alone("config", "check", "nosuch.toml")
    assert (done.rc, "there is no file nosuch.toml" in done.stderr) == (2, True)


def test_the_cluster_of_the_lab_is_in_order(clbalance: Command) -> None:
    assert clbalance("config", "check").rc == 0


def test_the_crontab_line_calls_this_very_program_with_what_applies_here(
    lab: Lab, clbalance: Command, folder: Path
) -> None:
    (folder / "clbalance.toml").write_text("[ssh]\nfanout = 3\n")
    done = clbalance("config", "timer", "-g", "cpu", "--every", "10m", "--apply", "--only", "cron")
    assert (done.rc, done.stderr) == (0, "")
    (line,) = done.lines
    assert line.startswith("*/10 * * * * cd ")
    command = line.split(" ", 5)[5].replace("\\%", "%")
    words = shlex.split(command)
    assert words[:3] == ["cd", str(folder), "&&"]
    assert words[-7:] == ["rebalance", "-g", "cpu", "--apply", "-q", "--jitter", "30s"]
    assert words[words.index("10") + 1 : -7] == list(ARGV)
    assert f"CLBALANCE_STATE_DIR={clbalance.env['CLBALANCE_STATE_DIR']}" in words
    # As cron would: no terminal, nothing but its own few variables; another verb in the place of the one that it is for.
    instead = command.replace("rebalance -g cpu --apply -q --jitter 30s", "load -g cpu --format plain")
    ran = subprocess.run(
        ["/bin/sh", "-c", instead],
        env={"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "PYTHONPATH": clbalance.env["PYTHONPATH"]},
        cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {text.split("\t")[0] for text in ran.stdout.splitlines()} == {"node1", "node2", "node3", "node4"}


def test_nothing_is_installed_and_it_is_said_what_to_type(clbalance: Command, tmp_path: Path) -> None:
    before = sorted(path for path in tmp_path.rglob("*") if "state" not in str(path))
    done = clbalance("config", "timer", "-g", "cpu")
    assert done.rc == 0
    for parsed in ("systemctl --user enable --now clbalance-rebalance.timer", "loginctl enable-linger", "crontab -e"):
        assert parsed in done.text
    assert "--apply" not in done.text
    assert sorted(path for path in tmp_path.rglob("*") if "state" not in str(path)) == before
    assert " -a" in clbalance("config", "timer", "--only", "service").text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("-g", "nosuch"), "no group `nosuch`"),
        (("-g", "cpu", "--every", "7m"), "a crontab cannot express `--every 7m`"),
        (("-g", "cpu", "--every", "30s"), "a crontab cannot express `--every 30s`"),
        (("-g", "cpu", "--only", "unit"), "`--only` cannot be 'unit'\nhint: one of service, timer, cron"),
    ],
)
def test_a_timer_that_would_not_work_is_refused(clbalance: Command, typed: tuple[str, ...], message: str) -> None:
    done = clbalance("config", "timer", *typed)
    assert (done.rc, done.stdout) == (2, b"")
    assert message in done.stderr


def test_without_groups_a_timer_says_how_to_get_them(alone: Command) -> None:
    done = alone("config", "timer")
    assert (done.rc, "needs groups" in done.stderr) == (2, True)
