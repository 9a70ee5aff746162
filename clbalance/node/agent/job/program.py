"""Checks a job's spec, and finds the program and arguments for execve(2)."""

import errno
import os

from clbalance.node.agent.fields import PTY, SCRIPT, SPEC, checked, encoded
from clbalance.node.agent.protocol import MisfitError, RefusedError, shown

MYPY = False
if MYPY:
    from typing import Any


class Spec:
    """A job's checked spec: what to run, and how. Texts are bytes for the system. A bad one raises `RefusedError`."""

    def __init__(self, raw: "dict[str, Any]") -> None:
        try:
            self.take(checked(raw, SPEC, "spec"))
        except MisfitError as misfit:
            raise RefusedError("spec", str(misfit)) from None

    def take(self, fields: "dict[str, Any]") -> None:
        if (fields["argv"] is None) == (fields["script"] is None):
            raise MisfitError("spec needs either `argv` or `script`")
        self.script = None if fields["script"] is None else checked(fields["script"], SCRIPT, "script")
        words = fields["argv"] if self.script is None else self.script["args"]
        self.words = [encoded(word, "argv") for word in words]
        if self.script is None and not self.words:
            raise MisfitError("`argv` is empty")
        self.env = {encoded(k, "env"): encoded(v, "env %s" % k) for k, v in fields["env"].items()}
        bad = [name for name in self.env if not name or b"=" in name]
        if bad:
            raise MisfitError("env: %r is no name of a variable" % shown(bad[0]))
        self.chdir = None if fields["chdir"] is None else encoded(fields["chdir"], "chdir")
        if self.chdir is not None and not self.chdir.startswith(b"/"):
            raise MisfitError("`chdir` must be an absolute path, not %r" % shown(self.chdir))
        self.chdir_explicit = fields["chdir_explicit"]
        self.umask = fields["umask"]
        if not 0 <= self.umask <= 0o777:
            raise MisfitError("`umask` must lie between 0 and 0o777, not %d" % self.umask)
        self.login = fields["login"]
        self.time_limit_s = fields["time_limit_s"]
        self.grace_s = fields["grace_s"]
        self.tied = fields["tied"]
        self.fed = fields["input"]
        self.results_s = fields["results_s"]
        self.hosts = encoded(fields["hosts"], "hosts")
        self.pty = None if fields["pty"] is None else checked(fields["pty"], PTY, "pty")
        if self.pty is not None and max(self.pty.values()) > 0xFFFF:
            raise MisfitError("pty: a terminal has at most 65535 rows and columns")


class Program:
    """A file and its argument vector. `interprets`: the script whose `#!` line names the file, for messages."""

    def __init__(self, path: bytes, argv: "list[bytes]", interprets: str = "") -> None:
        self.path = path
        self.argv = argv
        self.interprets = interprets

    def refusal(self, error: OSError) -> RefusedError:
        """The refusal of a failed execve, with a shell's message and exit code."""
        what = self.interprets + ": bad interpreter " + shown(self.path) if self.interprets else shown(self.path)
        if error.errno != errno.ENOENT:
            return RefusedError("exec", "%s: %s" % (what, why_not_executed(self.path, error)), 126)
        if not self.interprets and os.path.exists(self.path):
            return RefusedError("exec", "%s: %s" % (what, missing_interpreter(self.path)), 127)
        return RefusedError("exec", "%s: %s" % (what, os.strerror(errno.ENOENT)), 127)


def why_not_executed(path: bytes, error: OSError) -> str:
    return os.strerror(errno.EISDIR if os.path.isdir(path) else error.errno or 0)


def read_head(path: "bytes | str", dir_fd: "int | None" = None) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        return os.read(fd, 4096)
    finally:
        os.close(fd)


def missing_interpreter(path: bytes) -> str:
    """Why execve gives ENOENT for a file that exists: its interpreter or loader does not."""
    try:
        words = shebang(read_head(path))
    except OSError:
        words = []
    if not words:
        return "its loader does not exist on this node"
    if words[-1].endswith(b"\r"):
        return "its `#!` line ends with a carriage return; convert it with `dos2unix`"
    return "bad interpreter %s: %s" % (shown(words[0]), os.strerror(errno.ENOENT))


def shebang(head: bytes) -> "list[bytes]":
    """Interpreter and at most one argument of a `#!` line, cut as the kernel cuts it; [] without one."""
    first = head.split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return []
    line = first[2:].strip(b" \t")
    interpreter = line.replace(b"\t", b" ").split(b" ", 1)[0]
    return [word for word in (interpreter, line[len(interpreter) :].lstrip(b" \t")) if word]


def script_program(path: bytes, head: bytes, name: str, args: "list[bytes]") -> Program:
    """The program that runs a script. We execute its interpreter, so it also works on a file system mounted noexec.

    `RefusedError` if it is a binary, or its `#!` line ends with a carriage return.
    """
    if b"\0" in head.split(b"\n", 1)[0]:
        raise RefusedError("exec", "%s: a binary, not a script; run it as a command: `-- ./%s`" % (name, name), 126)
    words = shebang(head)
    if not words:
        return Program(b"/bin/sh", [b"/bin/sh", path, *args])
    if words[-1].endswith(b"\r"):
        raise RefusedError(
            "exec", "%s: its `#!` line ends with a carriage return (CRLF); use `dos2unix %s`" % (name, name), 127
        )
    return Program(words[0], [*words, path, *args], interprets=name)


def find_program(words: "list[bytes]", search_path: bytes) -> Program:
    """The file that a shell would execute for `words[0]`; `RefusedError` if there is none."""
    name = words[0]
    if b"/" in name:
        return Program(name, words)
    found = [os.path.join(folder or b".", name) for folder in search_path.split(b":")] if name else []
    found = [path for path in found if os.path.isfile(path)]
    for path in found:
        if os.access(path, os.X_OK):
            return Program(path, words)
    if found:
        raise RefusedError("exec", "%s: %s" % (shown(found[0]), os.strerror(errno.EACCES)), 126)
    raise RefusedError("exec", "%s: command not found" % shown(name), 127)


def login_entry() -> "tuple[bytes, bytes]":
    """Home and login shell of this user; empty if the user database does not have them."""
    import pwd

    try:
        entry = pwd.getpwuid(os.geteuid())
    except KeyError:
        return b"", b""
    return os.fsencode(entry.pw_dir), os.fsencode(entry.pw_shell)


def names_no_shell(words: "list[bytes]") -> bool:
    """Whether the words are those of `run -c TEXT`, for which the user chose no shell."""
    return words[:2] == [b"/bin/sh", b"-c"] and words[3:4] == [b"sh"]


def through_login_shell(shell: bytes, words: "list[bytes]", any_shell: bool = False) -> "tuple[Program, list[str]]":
    """Execute `words` by a login shell, which uses the PATH that its start-up files set. The program, and warnings.

    `any_shell`: the first word is a shell that may be replaced by bash. Functions that bash exports, such as `module`,
    are lost in a shell that does not know exported functions (dash).
    """
    shell = shell or b"/bin/sh"
    warnings = []
    if os.path.basename(shell) not in (b"sh", b"bash", b"dash", b"zsh", b"ksh"):
        used = b"/bin/bash" if os.path.exists(b"/bin/bash") else b"/bin/sh"
        warnings.append("the login shell %s is not a POSIX shell; `%s -l` was used" % (shown(shell), shown(used)))
        shell = used
    base = os.path.basename(shell)
    if any_shell and (base == b"bash" or os.path.exists(b"/bin/bash")):
        words = [shell if base == b"bash" else b"/bin/bash", *words[1:]]
    flags = [] if base == b"dash" else [b"-l"]  # old dash has no -l; bash -c heeds -l, not the dash in argv[0]
    return Program(shell, [b"-" + base, *flags, b"-c", b'exec "$0" "$@"', *words]), warnings


def enter_folder(spec: Spec) -> "tuple[bytes, list[str]]":
    """Change to the job's folder. Its path, and a warning if it is not the one that was asked for.

    `RefusedError` if the user named the folder explicitly and it cannot be entered.
    """
    home = b""
    warnings = []
    if spec.chdir is not None:
        try:
            os.chdir(spec.chdir)
        except OSError as error:
            reason = "%s: %s" % (shown(spec.chdir), os.strerror(error.errno or 0))
            if spec.chdir_explicit:
                raise RefusedError("chdir", reason) from error
            warnings.append(reason)
        else:
            return spec.chdir, []
    home = login_entry()[0]
    try:
        os.chdir(home)
    except OSError:
        home = b"/"
        os.chdir(home)
    return home, ["%s; running in %s" % (reason, shown(home)) for reason in warnings]
