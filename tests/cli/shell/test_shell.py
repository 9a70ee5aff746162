"""`clbalance shell`: lines from a script or a terminal, on real nodes over sessions that stay open."""

import contextlib
from pathlib import Path

from clbalance.lab.cluster import Lab
from tests.cli.command import Command, Terminal
from tests.waiting import eventually

_SHELL_OF_THE_COMMAND = "cut -d' ' -f4 /proc/$PPID/stat"  # the kept one, two processes above


def test_lines_run_on_the_current_nodes_and_verbs_are_about_them(clbalance: Command) -> None:
    script = b"""
        use node[1-4]; -node4; ?
        case $(hostname) in node2) exit 3 ;; *) echo fine; echo "a   b" ;; esac
        load | cut -d' ' -f1
        use @clb:failed; ?
        !echo here
        # the last line has no newline
        pick"""
    done = clbalance("shell", "-w", "node[1-5]", stdin=script)
    output = "node[1-3] (3 nodes)\n---------------\nnode[1,3] (2)\n---------------\nfine\na   b\n"
    table = "NODE\nnode1\nnode2\nnode3\n"
    first, _, rest = done.text.partition("NODE\n")
    assert first == output
    assert sorted(rest.splitlines()[:3]) == table.splitlines()[1:]
    assert rest.splitlines()[3:] == ["node2 (1 node)", "here", "node2"]
    assert (done.rc, done.stderr) == (0, "clbalance: node2: exit code 3\n")


def test_lines_go_over_the_same_sessions(clbalance: Command) -> None:
    lines = f"{_SHELL_OF_THE_COMMAND}\nload -q >/dev/null\n{_SHELL_OF_THE_COMMAND}"
    done = clbalance("shell", "node1", "--command", lines)
    first, second = (line for line in done.lines if line.isdigit())
    assert first == second


def test_with_e_it_stops_at_the_first_failure(clbalance: Command) -> None:
    done = clbalance("shell", "node1", "-e", stdin=b"echo one\nexit_code() { return 7; }; exit_code\necho two\n")
    assert (done.rc, "one" in done.text, "two" in done.text) == (7, True, False)


def test_a_broken_line_ends_nothing_and_the_last_code_counts(clbalance: Command) -> None:
    script = b"load 'x\nload --nonsense\nuse node[1\n&node9\ncancel 4711\n\0\n!exit 4\n?\n"
    done = clbalance("shell", "node[1-2]", stdin=script)
    assert done.text == "node[1-2] (2 nodes)\n"
    assert done.stderr.count("clbalance: ") == 6
    assert done.rc == 0


def test_the_exit_code_of_what_takes_the_output_of_a_verb_counts(clbalance: Command) -> None:
    done = clbalance("shell", "node1", "--command", "?\nhelp load | grep nothing-such")
    assert (done.rc, done.text) == (1, "node1 (1 node)\n")


def test_output_that_nothing_takes_is_gone_and_the_next_line_is_carried_out(clbalance: Command) -> None:
    done = clbalance("shell", "node1", "--command", "help load >/nowhere/x\n?")
    assert (done.rc, done.text) == (0, "node1 (1 node)\n")


def test_no_part_of_a_line_that_is_too_long_is_carried_out(clbalance: Command) -> None:
    done = clbalance("shell", "node1", stdin=b"#" + b" " * (1 << 20) + b"!echo run\n")
    assert (done.rc, done.text) == (2, "")
    assert "more than 1 MiB" in done.stderr


def test_what_cannot_be_asked_about_is_refused_in_a_script(clbalance: Command, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    done = clbalance("shell", "node1", stdin=f"cancle 17\nrm -rf {kept}\n".encode())
    assert (done.rc, done.text, kept.exists()) == (2, "", True)
    assert "did you mean `cancel`?" in done.stderr
    assert "`rm -r` on 1 node: node1" in done.stderr
    assert clbalance("shell", "node1", "--yes", "--command", f"rm -rf {kept}").rc == 0
    assert not kept.exists()


def test_a_program_that_wants_a_password_is_explained(clbalance: Command) -> None:
    done = clbalance("shell", "node1", "--command", "echo 'sudo: a terminal is required to read the password'; false")
    assert "`sudo -n` works" in done.stderr


def test_a_node_that_is_not_there_delays_no_other_and_is_told(clbalance: Command) -> None:
    done = clbalance("shell", "node1,nowhere", "--command", "echo up\nuse @clb:unreachable; ?")
    assert "up\n" in done.text
    assert "nowhere (1 node)" in done.text
    assert "clbalance: nowhere: " in done.stderr


def test_at_a_terminal_ctrl_c_ends_what_runs_on_the_nodes_and_ctrl_d_leaves(clbalance: Command, tmp_path: Path) -> None:
    terminal = clbalance.on_terminal("shell", "node[1-2]")
    at_prompt(terminal, 1)
    terminal.type(f"echo up >>{tmp_path}/up; sleep 1000 && : {tmp_path}\r".encode())
    eventually(lambda: len((tmp_path / "up").read_text().splitlines()) == 2)
    assert running(str(tmp_path)) >= 2  # one that is about to become `sleep` looks like its parent
    terminal.type(b"\x03")
    at_prompt(terminal, 2)
    eventually(lambda: running(str(tmp_path)) == 0)
    terminal.type(b"echo still $((40 + 2))\r")
    at_prompt(terminal, 3)
    assert b"still 42" in terminal.raw
    terminal.type(b"\x1b[200~use node1\n?\x1b[201~\r")
    at_prompt(terminal, 4)
    assert b"node1 (1 node)" in terminal.raw
    terminal.type(b'!trap "kill \\$!; echo after $((40 + 2)); exit" INT; sleep 1000 & echo ready $((40 + 2)); wait\r')
    terminal.read_until(b"ready 42")
    terminal.type(b"\x03")
    at_prompt(terminal, 5)
    assert b"after 42" in terminal.raw
    terminal.type(b"reboot\r")
    terminal.read_until(b"[y/N]")
    terminal.type(b"n\r")
    at_prompt(terminal, 6)
    assert b"not run" in terminal.raw
    terminal.type(b"\x04")
    assert terminal.end() == 2


def test_ctrl_c_that_follows_enter_at_once_stops_the_line(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("shell", "node1")
    at_prompt(terminal, 1)
    for number in range(2, 12):
        terminal.type(b"sleep 1000\r\x03")
        at_prompt(terminal, number)
    terminal.type(b"exit 5\r")
    assert terminal.end() == 5


def at_prompt(terminal: Terminal, number: int) -> None:
    """Wait for the prompt of that number: each turns bracketed paste on once."""
    terminal.read_while(lambda: terminal.raw.count(b"\x1b[?2004h") < number)


def running(word: str) -> int:
    """How many processes of the nodes were started as `$SHELL -c` with this word."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            _, *arguments = path.read_bytes().split(b"\0")
            found += arguments[:1] == [b"-c"] and word.encode() in arguments[1]
    return found


def test_a_history_that_cannot_be_used_is_told_before_the_prompt(clbalance: Command, tmp_path: Path) -> None:
    (tmp_path / "shell-history").mkdir()
    tmp_path.chmod(0o700)
    terminal = clbalance.on_terminal("shell", "node1", env={"CLBALANCE_STATE_DIR": str(tmp_path)})
    at_prompt(terminal, 1)
    assert b"continuing without a file for the history" in terminal.raw.partition(b"\x1b[?2004h")[0]
    terminal.type(b"exit 5\r")
    assert terminal.end() == 5


def test_a_terminal_that_cannot_be_drawn_on_gets_plain_text(clbalance: Command) -> None:
    terminal = clbalance.on_terminal("shell", "node1", env={"TERM": "dumb"})
    terminal.read_until(b"node1> ")
    terminal.type(b"?\r")
    terminal.read_until(b"node1 (1 node)\r\nnode1> ")
    terminal.type(b"exit\r")
    assert terminal.end() == 0
    assert b"\x1b" not in terminal.raw


def test_selectors_stand_wherever_a_node_set_does(lab: Lab, clbalance: Command) -> None:
    lab.node("node2").load(r1m=9.0)
    script = "use @busy; ?\nuse; -@clb:best-2; ?\nload -w @busy | cut -d' ' -f1\necho @idle\nuse @suspect"
    done = clbalance("shell", "node[1-3]", "--command", script)
    assert done.lines[:2] == ["node2 (1 node)", "node2 (1 node)"]
    assert done.lines[2:4] == ["NODE", "node2"]
    assert done.lines[-1] == "@idle"
    assert "no node is suspect now" in done.stderr
