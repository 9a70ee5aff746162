"""What a job is, checked."""

from clbalance.node.agent.fields import PTY, SCRIPT, SPEC, checked, encoded
from clbalance.node.agent.words import MisfitError, RefusedError, shown

MYPY = False
if MYPY:
    from typing import Any


class Spec:
    """What is to run and how; all text as the bytes that the system will see."""

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
        self.pty = None if fields["pty"] is None else checked(fields["pty"], PTY, "pty")
        if self.pty is not None and max(self.pty.values()) > 0xFFFF:
            raise MisfitError("pty: a terminal has at most 65535 rows and columns")
