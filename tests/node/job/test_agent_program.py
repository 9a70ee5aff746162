"""What is executed, where and with what; and why not, in the words and codes of a shell."""

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from clbalance.node.agent.job.program import Spec, script_program, shebang, through_login_shell
from clbalance.node.agent.protocol import RefusedError
from tests.node.agent_client import AgentClient, job_folder, plain

NASTY = [
    "",
    " ",
    "'",
    '"',
    "$(id)",
    "`id`",
    "a\nb",
    "\t\r\x07\x1b[31m",
    "%s",
    "\\",
    "*",
    "~",
    "-n",
    "ü€😀",
    "\udcff\udc80",
]
SHOW_ARGV = "import os,sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))"
OPEN_FDS = """
import os
for fd in range(256):
    try:
        os.fstat(fd)
    except OSError:
        continue
    print(fd)
"""


@pytest.mark.parametrize("rc", [0, 1, 85, 126, 255])
def test_a_jobs_exit_code_arrives(client: AgentClient, rc: int) -> None:
    assert client.run(argv=["sh", "-c", f"exit {rc}"])["end"] == {"kind": "exited", "rc": rc}


@pytest.mark.parametrize("number", [9, 11, 15])
def test_a_signal_that_ends_a_job_arrives_as_that_signal(client: AgentClient, number: int) -> None:
    assert client.run(argv=["sh", "-c", f"kill -{number} $$"])["end"] == {"kind": "killed", "signal": number}


def test_every_argument_arrives_exactly(client: AgentClient) -> None:
    ran = client.run(argv=[sys.executable, "-I", "-c", SHOW_ARGV, *NASTY])
    assert ran["stdout"] == b"\0".join(os.fsencode(word) for word in NASTY)


def test_a_script_gets_its_own_arguments_and_content(client: AgentClient) -> None:
    ran = client.run(script=b'printf "%s|" "$#" "$@" >&2\n', args=["-w", "a b", ""])
    assert (ran["stderr"], ran["stdout"]) == (b"3|-w|a b||", b"")


def test_a_script_larger_than_one_put_arrives_whole(client: AgentClient) -> None:
    assert client.run(script=b"#" * (3 << 20) + b"\necho end\n")["stdout"] == b"end\n"


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#!/bin/sh\n", [b"/bin/sh"]),
        (b"#!  /bin/sh \t\n", [b"/bin/sh"]),
        (b"#!/usr/bin/env -S awk -f\n", [b"/usr/bin/env", b"-S awk -f"]),
        (b"#!/bin/sh -e", [b"/bin/sh", b"-e"]),
        (b"#!\n", []),
        (b"# !/bin/sh\n", []),
        (b"", []),
        (b"\n#!/bin/sh\n", []),
    ],
)
def test_a_shebang_is_cut_as_the_kernel_cuts_it(head: bytes, words: list[bytes]) -> None:
    assert shebang(head) == words


def test_a_shebangs_interpreter_runs_the_script(client: AgentClient) -> None:
    ran = client.run(script=b"#!/usr/bin/env -S sh -e\nfalse\necho not reached\n")
    assert (ran["end"], ran["stdout"]) == ({"kind": "exited", "rc": 1}, b"")


def test_a_script_without_a_shebang_is_run_by_sh(client: AgentClient) -> None:
    assert client.run(script=b"case $0 in */script) echo ok;; esac")["stdout"] == b"ok\n"


def test_windows_line_ends_in_a_shebang_are_named() -> None:
    with pytest.raises(RefusedError, match=r"carriage return .* `dos2unix job.sh`"):
        script_program(b"/s", b"#!/bin/sh\r\necho\r\n", "job.sh", [])


def test_a_binary_as_script_is_told_how_to_run() -> None:
    with pytest.raises(RefusedError, match=r"`-- ./a.out`"):
        script_program(b"/s", b"\x7fELF\2\0\1", "a.out", [])


def test_a_missing_interpreter_is_named(client: AgentClient) -> None:
    refusal = client.refusal(script=b"#!/opt/nosuch -x\n")
    assert refusal == ("exec", "job.sh: bad interpreter /opt/nosuch: No such file or directory", 127)


def test_an_unknown_command_is_refused_with_127(client: AgentClient) -> None:
    assert client.refusal(argv=["nosuch", "x"]) == ("exec", "nosuch: command not found", 127)


@pytest.mark.parametrize(
    ("content", "mode", "words", "rc"),
    [
        (None, 0o755, "No such file or directory", 127),
        (b"echo", 0o644, "Permission denied", 126),
        (b"neither ELF nor script", 0o755, "Exec format error", 126),
        (b"#!/opt/nosuch\n", 0o755, "bad interpreter /opt/nosuch: No such file or directory", 127),
        (b"#!/bin/sh\r\n", 0o755, "its `#!` line ends with a carriage return; convert it with `dos2unix`", 127),
    ],
)
def test_a_file_that_cannot_be_executed_is_refused_as_a_shell_would(
    client: AgentClient, tmp_path: Path, content: bytes | None, mode: int, words: str, rc: int
) -> None:
    file = tmp_path / "program"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    assert client.refusal(argv=[str(file)]) == ("exec", f"{file}: {words}", rc)


def test_a_folder_as_command_is_called_one(client: AgentClient, tmp_path: Path) -> None:
    assert client.refusal(argv=[str(tmp_path)]) == ("exec", f"{tmp_path}: Is a directory", 126)


def test_arguments_beyond_the_systems_limit_are_refused(client: AgentClient) -> None:
    assert client.refusal(argv=["/bin/true", "x" * (1 << 20)]) == ("exec", "/bin/true: Argument list too long", 126)


def test_commands_are_found_on_the_path_of_the_job(client: AgentClient, tmp_path: Path) -> None:
    tool = tmp_path / "bin" / "mytool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho found\n")
    tool.chmod(0o755)
    assert client.run(argv=["mytool"], env={"PATH": f"{tmp_path}/none:{tool.parent}"})["stdout"] == b"found\n"


def test_the_environment_is_the_nodes_then_the_jobs_then_ours(tmp_path: Path) -> None:
    with AgentClient(tmp_path, env={"A": "node", "B": "node", "LC_ALL": "C"}) as client:
        ran = client.run(argv=["env"], env={"B": "job", "C": "x=y\nz", "PWD": "/wrong"}, chdir="/tmp")
    words = ran["stdout"].decode().splitlines()
    folder = job_folder(tmp_path, ran["job"])
    for word in ("A=node", "B=job", "C=x=y", "z", "PWD=/tmp", f"CLBALANCE_JOB_DIR={folder}", "LC_ALL=C"):
        assert word in words
    assert not [word for word in words if word.startswith("LC_CTYPE=")]


def test_the_job_runs_in_the_folder_asked_for(client: AgentClient, tmp_path: Path) -> None:
    ran = client.run(argv=["pwd"], chdir=str(tmp_path), chdir_explicit=True)
    assert (ran["stdout"], ran["cwd"], ran["warnings"]) == (f"{tmp_path}\n".encode(), str(tmp_path), [])


def test_a_missing_submit_folder_falls_back_to_home_with_a_warning(client: AgentClient) -> None:
    home = pwd.getpwuid(os.geteuid()).pw_dir
    ran = client.run(argv=["pwd"], chdir="/no/such")
    assert ran["stdout"] == f"{home}\n".encode()
    assert ran["warnings"] == [f"/no/such: No such file or directory; running in {home}"]


def test_a_missing_folder_that_was_asked_for_is_refused(client: AgentClient) -> None:
    refusal = client.refusal(argv=["pwd"], chdir="/no/such", chdir_explicit=True)
    assert refusal == ("chdir", "/no/such: No such file or directory", None)


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o777])
def test_the_umask_is_kept(client: AgentClient, umask: int) -> None:
    assert client.run(argv=["sh", "-c", "umask"], umask=umask)["stdout"] == f"{umask:04o}\n".encode()


def test_standard_input_is_what_was_put_and_else_empty(client: AgentClient) -> None:
    content = bytes(range(256)) * 1000
    assert client.run(argv=["cat"], stdin=content)["stdout"] == content
    assert client.run(argv=["cat"])["stdout"] == b""


def test_a_job_has_three_descriptors_and_no_more(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)
    try:
        with AgentClient(tmp_path, pass_fds=(writer,)) as client:
            client.begin(argv=["sleep", "600"])  # whose pipes must not leak into the next
            ran = client.run(argv=[sys.executable, "-I", "-S", "-c", OPEN_FDS])
    finally:
        os.close(reader)
        os.close(writer)
    assert ran["stdout"].split() == [b"0", b"1", b"2"]


def test_no_signal_is_ignored_or_blocked_in_a_job(tmp_path: Path) -> None:
    deaf = ["sh", "-c", 'trap "" HUP INT TERM QUIT CHLD; exec "$@"', "sh", *plain()]
    with AgentClient(tmp_path, command=deaf) as client:
        parsed = client.run(argv=["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"])["stdout"]
    # 32 and 33 are the C library's own: no program can set them, and some parents hand them down ignored.
    of_the_c_library = 1 << 31 | 1 << 32
    assert [int(mask, 16) & ~of_the_c_library for mask in parsed.split()[1::2]] == [0, 0]


def test_a_job_leads_a_session_of_its_own(client: AgentClient) -> None:
    ran = client.run(argv=["sh", "-c", "cut -d' ' -f1,5,6 /proc/$$/stat"])
    assert set(ran["stdout"].split()) == {str(ran["pid"]).encode()}


@pytest.mark.parametrize("shell", [b"/bin/bash", b"/bin/sh", b"/bin/dash", b""])
def test_a_login_shell_reads_its_profile_and_then_becomes_the_job(tmp_path: Path, shell: bytes) -> None:
    (tmp_path / ".profile").write_text("MODULES=loaded; export MODULES\n")
    program, warnings = through_login_shell(shell, [b"sh", b"-c", b'printf "%s|" "$MODULES" "$@"', b"sh", *nasty()])
    env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    message = subprocess.run(program.argv, executable=program.path, env=env, capture_output=True, check=True)
    assert message.stdout == b"loaded|" + b"".join(word + b"|" for word in nasty())
    assert warnings == []


def test_a_login_shell_that_is_not_posix_is_replaced_with_a_warning() -> None:
    program, warnings = through_login_shell(b"/usr/bin/fish", [b"true"])
    assert program.path == b"/bin/bash"
    assert warnings == ["the login shell /usr/bin/fish is not a POSIX shell; `/bin/bash -l` was used"]


def test_login_works_for_commands_and_scripts(client: AgentClient, tmp_path: Path) -> None:
    for file in (".profile", ".bash_profile"):
        (tmp_path / file).write_text("export MODULES=loaded\n")
    home = {"HOME": str(tmp_path)}
    assert client.run(argv=["sh", "-c", "echo $MODULES"], login=True, env=home)["stdout"] == b"loaded\n"
    assert client.run(script=b"echo $MODULES $1", args=["x"], login=True, env=home)["stdout"] == b"loaded x\n"


def test_functions_that_a_login_exports_are_there_for_texts_and_for_scripts_that_name_no_shell(
    client: AgentClient, tmp_path: Path
) -> None:
    """As `module` of Environment Modules and of Lmod is one."""
    for file in (".profile", ".bash_profile"):
        (tmp_path / file).write_text('module() { echo "module $1"; }\n[ -z "$BASH" ] || export -f module\n')
    home = {"HOME": str(tmp_path)}
    of_run = ["/bin/sh", "-c", "module load; echo $0 $1", "sh", "x"]
    assert client.run(argv=of_run, login=True, env=home)["stdout"] == b"module load\nsh x\n"
    assert client.run(script=b"module $1", args=["x"], login=True, env=home)["stdout"] == b"module x\n"


@pytest.mark.parametrize("shell", [b"/bin/bash", b"/bin/sh"])
def test_a_shell_that_was_named_is_the_one_that_is_used(shell: bytes) -> None:
    program, _ = through_login_shell(shell, [b"/bin/sh", b"script"])
    assert program.argv[-2:] == [b"/bin/sh", b"script"]


def nasty() -> list[bytes]:
    return [os.fsencode(word) for word in NASTY]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({}, "spec needs either `argv` or `script`"),
        ({"argv": ["a"], "script": {"name": "x"}}, "spec needs either `argv` or `script`"),
        ({"argv": []}, "`argv` is empty"),
        ({"argv": "true"}, "spec: 'argv' must be a list, not 'true'"),
        ({"argv": ["a", 1]}, "argv must be text, not 1"),
        ({"argv": ["a\0"]}, "argv holds a NUL"),
        ({"argv": ["\ud800"]}, "argv holds surrogates that stand for no byte"),
        ({"argv": ["a"], "env": {"A=": ""}}, "env: 'A=' is no name of a variable"),
        ({"argv": ["a"], "env": {"A": 1}}, "env A must be text, not 1"),
        ({"argv": ["a"], "chdir": "here"}, "`chdir` must be an absolute path, not 'here'"),
        ({"argv": ["a"], "umask": 0o1000}, "`umask` must lie between 0 and 0o777, not 512"),
        ({"argv": ["a"], "umask": True}, "spec: 'umask' must be a whole number, not True"),
        ({"argv": ["a"], "time_limit_s": -1}, "spec: 'time_limit_s' must be a number, 0 or more, not -1"),
        ({"argv": ["a"], "grace_s": float("nan")}, "spec: 'grace_s' must be a number, 0 or more, not nan"),
        ({"script": {"args": []}}, "script lacks its field 'name'"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused_with_its_place(spec: dict[str, object], reason: str) -> None:
    with pytest.raises(RefusedError) as refused:
        Spec(spec)
    assert (refused.value.kind, refused.value.reason) == ("spec", reason)


def test_an_unknown_field_is_answered_with_those_there_are() -> None:
    with pytest.raises(RefusedError, match=r"spec has no field 'umaks'; it has argv, .*, umask"):
        Spec({"argv": ["a"], "umaks": 1})
