"""The text that runs a program on a node and tells its exit code and its output, and the reader of what it tells.

Pure. The node needs a POSIX `sh`, `head` and `tail`. The program is a child `sh` that reads its text from a pipe: no
text of a user is ever on a command line, and the program's own standard input is empty. Its two streams are read to
their ends (what is too long is cut in the middle), and then told one after the other, between lines with a nonce that
the program does not know.
"""

from collections.abc import Mapping
from shlex import quote
from typing import Final

from clbalance.lazy_dataclass import dataclass
from clbalance.model.play_run import MOST_OUTPUT_BYTES, Result

BEAT_S: Final = 10
"""A node that is alive says so this often while the program runs."""
CUT: Final = "[clbalance: cut here]"
"""Stands in the middle of an output that was too long."""
_HALF_BYTES = MOST_OUTPUT_BYTES // 2
_TEXT = """\
exec 4>&1
T=@TEXT@
beat() {
  trap 'kill $s; exit' TERM
  while :; do sleep @BEAT@ & s=$!; wait $s; echo "@NONCE@ beat"; done
}
keep() {
  LC_ALL=C
  head -c @HALF@
  e=$(tail -c @MORE@; echo .)
  e=${e%.}
  [ ${#e} -le @HALF@ ] || printf '\\n%s\\n' "@CUT@"
  printf %s "$e"
}
set -- @LIMIT@
command -v timeout >/dev/null || shift $#
set -- @SUDO@ "$@"
{
  {
    {
      beat >&4 2>/dev/null 3>&- </dev/null &
      b=$!
      printf '%s\\n' "$T" | "$@" /bin/sh -c 'eval "$(cat)"' 2>&3 3>&- 4>&-
      r=$?
      kill $b; wait $b
      echo "@NONCE@ rc $r" >&4
    } 2>/dev/null | keep | { o=$(cat); printf '%s\\n%s\\n' "@NONCE@ out" "$o" >&4; }
  } 3>&1 | keep | { e=$(cat); printf '%s\\n%s\\n%s\\n' "@NONCE@ err" "$e" "@NONCE@ end" >&4; }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteProgram:
    """A program as it is sent: shell text or words, with its environment."""

    text: str = ""
    words: tuple[str, ...] = ()
    """In place of `text`."""
    env: Mapping[str, str]
    chdir: str | None = None
    sudo: bool = False
    begins: str = ""
    """A line that it writes to its standard error before anything else: by it, `sudo` has let it begin."""
    timeout_s: float | None = None


def hello_text(nonce: str) -> bytes:
    """Makes the node say that its shell is up. Until it has, nothing of the program was sent."""
    return f'echo "{nonce} up"\n'.encode()


def up_line(nonce: str) -> bytes:
    """What it says then."""
    return f"{nonce} up".encode()


def program_text(program: RemoteProgram, nonce: str) -> bytes:
    """The text for the node's `sh -s`."""
    lines = [f"echo {quote(program.begins)} >&2"] if program.begins else []
    lines += [f"export {name}={quote(value)}" for name, value in sorted(program.env.items())]
    if program.chdir is not None:
        lines.append(f"cd -- {quote(program.chdir)} || exit 126")
    lines.append(f"exec {' '.join(map(quote, program.words))}" if program.words else program.text)
    text = (
        _TEXT.replace("@NONCE@", nonce)
        .replace("@BEAT@", str(BEAT_S))
        .replace("@HALF@", str(_HALF_BYTES))
        .replace("@MORE@", str(_HALF_BYTES + 1))
        .replace("@CUT@", CUT)
        .replace("@LIMIT@", "" if program.timeout_s is None else f"timeout -k 5 {program.timeout_s:.3f}")
        .replace("@SUDO@", "sudo -n --" if program.sudo else "")
    )
    return text.replace("@TEXT@", quote("\n".join(lines)), 1).encode("utf-8", "surrogateescape")


class Told:
    """Collects what the node tells, up to a limit, and says when it is over."""

    def __init__(self, nonce: str) -> None:
        self._mark = nonce.encode()
        self._tail = b""
        self._said: dict[str, list[bytes]] = {"out": [], "err": []}
        self._now: str | None = None
        self._bytes = 0
        self.rc: int | None = None
        self.is_over = False

    @property
    def is_too_long(self) -> bool:
        """Whether it tells more than our text ever would."""
        return self._bytes > 4 * MOST_OUTPUT_BYTES or len(self._tail) > 2 * MOST_OUTPUT_BYTES

    def take(self, data: bytes) -> None:
        """The next bytes."""
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            if line.startswith(self._mark + b" "):
                self._marked(line[len(self._mark) + 1 :])
            elif self._now is not None:
                self._said[self._now].append(line)
                self._bytes += len(line) + 1

    def result(self) -> Result | None:
        """The program's result; None if the node has not told all of it."""
        if not self.is_over or self.rc is None:
            return None
        out, err = (b"\n".join(self._said[name]).decode("utf-8", "replace") for name in ("out", "err"))
        return Result(rc=self.rc, out=out, err=err)

    def _marked(self, words: bytes) -> None:
        kind, _, rest = words.partition(b" ")
        match kind:
            case b"rc" if rest.isdigit() and len(rest) <= 3:
                self.rc = int(rest)
            case b"out" | b"err":
                self._now = kind.decode()
            case b"end":
                self._now, self.is_over = None, True
            case _:
                pass
