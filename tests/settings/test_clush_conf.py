"""ClusterShell's own settings apply where ours say nothing, as clush reads them."""

import os
import shutil
import sys
from optparse import Values
from pathlib import Path

import pytest
from ClusterShell.CLI.Config import ClushConfig

from clbalance.errors import SettingsError
from clbalance.settings.keys import KEYS

from .conftest import Place

PACKAGED = Path(sys.prefix) / "etc" / "clustershell" / "clush.conf"
SSH = "[Main]\nssh_user: ann\nssh_options: -p 2222\nssh_path: /opt/ssh\nfanout: 7\nconnect_timeout: 3\ncommand_timeout: 4\n"


@pytest.fixture
def users(place: Place) -> Path:
    """The user's own file."""
    folder = place.root / "config" / "clustershell"
    folder.mkdir()
    return folder / "clush.conf"


def test_what_it_says_of_ssh_applies_and_is_named_as_the_origin(place: Place, users: Path) -> None:
    place.write(users, SSH)
    settings = place.load()
    ssh = settings.ssh
    assert (ssh.user, ssh.options, ssh.path, ssh.fanout) == ("ann", "-p 2222", "/opt/ssh", 7)
    assert (ssh.connect_timeout_s, ssh.probe_timeout_s) == (3.0, 4.0)
    ours_alone = {"ssh.control_persist_s", "ssh.topology", "ssh.gateway_python"}
    theirs = {key for key in KEYS if key.startswith("ssh.")} - ours_alone
    assert {settings.origins[key] for key in theirs} == {str(users)}


def test_every_setting_of_ours_is_above_it_key_by_key(place: Place, users: Path) -> None:
    place.write(users, SSH)
    place.write(place.system, "[ssh]\nfanout = 8\n")
    settings = place.load({"CLBALANCE_CONNECT_TIMEOUT": "9"}, {"ssh.user": "bob"})
    assert (settings.ssh.fanout, settings.ssh.connect_timeout_s, settings.ssh.user) == (8, 9.0, "bob")
    assert settings.ssh.options == "-p 2222"


@pytest.mark.parametrize(
    ("given", "connect", "answer"), [("0", 10.0, 5.0), ("-1", 10.0, 5.0), ("nan", 10.0, 5.0), ("1e9", 3600, 3600)]
)
def test_no_limit_there_never_lifts_our_deadlines(
    place: Place, users: Path, given: str, connect: float, answer: float
) -> None:
    place.write(users, f"[Main]\nconnect_timeout: {given}\ncommand_timeout: {given}\nfanout: 5\n")
    ssh = place.load().ssh
    assert (ssh.connect_timeout_s, ssh.probe_timeout_s, ssh.fanout) == (connect, answer, 5)


def test_the_file_that_comes_with_clustershell_counts_as_none(place: Place, users: Path) -> None:
    assert PACKAGED.is_file()
    assert set(place.load().origins.values()) == {"default"}
    shutil.copy(PACKAGED, users)
    users.chmod(0o666)
    assert set(place.load().origins.values()) == {"default"}, "nor does it matter who may write to it"


def test_it_hides_no_weaker_file_and_its_folder_of_parts_is_read(place: Place, users: Path) -> None:
    shutil.copy(PACKAGED, users)
    (place.root / "home" / ".local" / "etc" / "clustershell").mkdir(parents=True)
    weaker = place.write(place.root / "home/.local/etc/clustershell/clush.conf", "[Main]\nconnect_timeout: 30\n")
    (users.parent / "clush.conf.d").mkdir()
    part = place.write(users.parent / "clush.conf.d" / "site.conf", "[Main]\nssh_user: ann\n")
    place.write(users.parent / "clush.conf.d" / "sudo.conf.example", "[Main]\nssh_user: root\n")
    settings = place.load({"HOME": str(place.root / "home")})
    assert (settings.ssh.connect_timeout_s, settings.ssh.user) == (30.0, "ann")
    assert settings.origins["ssh.connect_timeout_s"] == str(weaker)
    assert settings.origins["ssh.user"] == str(part)


MERGED = {
    "config/clustershell/clush.conf": "[Main]\nconfdir: $CFGDIR/a $CFGDIR/b\nfanout: 3\nssh_user: x\nhost: h\n",
    "cfg/clush.conf": "[Main]\nfanout: 4\nssh_options: -o HostName=%(host)s -o ProxyCommand='nc %%h'\n",
    "cfg/a/2.conf": "[Main]\nssh_user: y\n",
    "cfg/b/1.conf": "[mode:sudo]\nssh_user: z\n[Main]\nconnect_timeout: 2.5\n",
    "config/clustershell/a/1.conf": "[Main]\nssh_user: not read\n",
}


def test_files_are_merged_as_clush_merges_them(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in MERGED.items():
        (place.root / name).parent.mkdir(parents=True, exist_ok=True)
        place.write(place.root / name, text)
    env = {
        "HOME": str(place.root),
        "XDG_CONFIG_HOME": str(place.root / "config"),
        "CLUSTERSHELL_CFGDIR": str(place.root / "cfg"),
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    none = dict.fromkeys(
        ("quiet", "verbose", "debug", "fanout", "user", "options", "connect_timeout", "command_timeout", "whencolor",
         "maxrc")
    )  # fmt: skip
    theirs = ClushConfig(Values({**none, "option": []}))
    ours = place.load(env).ssh
    assert (ours.user, ours.options, ours.fanout) == (theirs.ssh_user, theirs.ssh_options, theirs.fanout)
    assert (ours.user, ours.fanout, ours.connect_timeout_s) == ("y", 4, theirs.connect_timeout)


def test_a_folder_that_is_named_from_here_is_found(place: Place) -> None:
    (place.project.parent / "cs").mkdir()
    place.write(place.project.parent / "cs" / "clush.conf", "[Main]\nfanout: 6\n")
    assert place.load({"CLUSTERSHELL_CFGDIR": "cs"}).ssh.fanout == 6


@pytest.mark.parametrize("part", [False, True])
def test_a_file_that_others_may_write_to_is_refused(place: Place, users: Path, part: bool) -> None:
    found = users
    place.write(users, "[Main]\nssh_path: /tmp/evil\n")
    if part:
        place.write(users, "[Main]\nconfdir: $CFGDIR/d\n")
        (users.parent / "d").mkdir()
        found = place.write(users.parent / "d" / "x.conf", "[Main]\nssh_path: /tmp/evil\n")
    found.chmod(0o666)
    with pytest.raises(SettingsError) as caught:
        place.load()
    assert caught.value.message == f"{found}: others may write to it"
    assert caught.value.hint.startswith("type `chmod ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_refused(place: Place, users: Path) -> None:
    place.write(users, SSH)
    os.chown(users, 54321, -1)
    with pytest.raises(SettingsError, match="belongs to uid 54321"):
        place.load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rubbish\n", ":1: not a clush.conf: rubbish"),
        ("[Main]\nfanout: many\n", ": `fanout` is 'many'"),
        ("[Main]\nssh_user: -oProxyCommand=x\n", ": `ssh_user` is the string"),
        ("[Main]\nssh_options: -o ProxyCommand='nc %h'\n", ": `ssh_options`: '%' must be followed by"),
        ("[Main]\nfanout: 1\nfanout: 2\n", ":3: `fanout` of `[Main]` already exists above"),
        ("[Main]\nconfdir: $CFGDIR/clush.conf\n", ": not a folder"),
        (b"[Main]\nssh_user: \xff\n", ""),
    ],
)
def test_a_mistake_is_told_with_its_place(place: Place, users: Path, text: str | bytes, message: str) -> None:
    place.write(users, text)
    with pytest.raises(SettingsError) as caught:
        place.load()
    assert caught.value.message.startswith(f"{users}{message}")
    assert caught.value.hint


def test_a_file_without_a_main_section_says_nothing(place: Place, users: Path) -> None:
    place.write(users, "[mode:sudo]\npassword_prompt: yes\n", mode=0o666)
    assert set(place.load().origins.values()) == {"default"}
