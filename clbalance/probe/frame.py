"""The probe's request, its answer as named sections, and parsers of numbers and words with limits.

Only text between markers with the nonce of this request counts. So a banner, the output of a login profile or the
content of another user's file cannot imitate an answer. All other text is ignored.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from clbalance.lazy_dataclass import dataclass

NONCE_PLACE: Final = "@NONCE@"
_SECTIONS_PLACE: Final = "@SECTIONS@"
# A node with 1,000 interfaces, 256 cpus and 256 marks of 1 KiB stays well below both.
MAX_BYTES: Final = 2 * 1024 * 1024
MAX_LINES: Final = 40_000
_MARK = re.compile(rb"begin|end|\+ [a-z_]{1,20}|- [a-z_]{1,20} [a-z0-9]{1,10}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The output of one section, and its status: an exit status or a word from the probe.

    Status None: the section timed out, and the text may be cut off anywhere.
    """

    text: str
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer is complete."""

    sections: Mapping[str, Section]


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbled:
    """The output is not that of our probe."""

    reason: str


def probe_request(script: str, nonce: str, sections: str = "") -> bytes:
    """The bytes to send: the script with its nonce, without comment lines and indentation.

    `sections`: those of the site's own programs that are asked for this time.

    `bash` reads standard input byte by byte, so length costs time. No string in the script spans several lines with
    indentation that matters.
    """
    if not re.fullmatch(r"[0-9a-f]{32}", nonce):
        msg = "a nonce is 128 random bits in hexadecimal"
        raise ValueError(msg)
    text = _without_comments(script).replace(_SECTIONS_PLACE, sections)
    return text.replace(NONCE_PLACE, nonce).encode() + b"\n"


@cache
def _without_comments(script: str) -> str:
    """The same for all nodes, and for each round of a process that goes on."""
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("#"))


class Frame:
    """Takes the lines of a node's standard output one by one, and says when the answer is complete."""

    __slots__ = ("_begun", "_bytes", "_lines", "_marker", "_name", "_sections", "_text")

    def __init__(self, nonce: str) -> None:
        self._marker = nonce.encode() + b" "
        self._begun = False
        self._bytes = 0
        self._lines = 0
        self._name: str | None = None
        self._text: list[bytes] = []
        self._sections: dict[str, Section] = {}

    def feed(self, line: bytes) -> Answered | Garbled | None:
        """The result after this line; None: not complete yet. Do not call again after an `Answered`."""
        self._bytes += len(line) + 1
        self._lines += 1
        if self._bytes > MAX_BYTES or self._lines > MAX_LINES:
            return Garbled(reason=f"more than {MAX_BYTES >> 20} MiB or {MAX_LINES} lines in answer to a probe")
        line = line.rstrip(b"\r\n")
        if line.startswith(self._marker):
            return self._mark(line[len(self._marker) :])
        if self._name is not None:
            self._text.append(line)
        return None

    def _mark(self, mark: bytes) -> Answered | None:
        # A malicious node knows the nonce, and its section names end up in reasons: accept plain ones only.
        match mark.decode().split(" ") if _MARK.fullmatch(mark) else []:
            case ["begin"]:
                self._begun = True
            case ["+", name] if self._begun:
                self._close(None)
                self._name = name
            case ["-", name, status] if self._begun:
                if name != self._name:
                    self._close(None)
                    self._name = name
                self._close(status)
            case ["end"] if self._begun:
                self._close(None)
                return Answered(sections=self._sections)
            case _:
                pass
        return None

    def _close(self, status: str | None) -> None:
        if self._name is None:
            return
        text = b"\n".join(self._text).decode("utf-8", "replace")
        self._sections[self._name] = Section(text=text, status=status)
        self._name = None
        self._text = []


# -- numbers and words from a node's text, checked against limits

_WHOLE = re.compile(r"[0-9]{1,20}")
_DECIMAL = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


def whole(text: str, *, most: int) -> int | None:
    """`text` as an integer 0…`most`, or None."""
    text = text.strip(" \t")
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if number <= most else None


def decimal(text: str, *, most: float) -> float | None:
    """`text` as a number 0…`most`, or None; no exponent, no sign, no NaN."""
    text = text.strip(" \t")
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    return number if number <= most else None


def wholes(words: list[str], *, most: int) -> list[int] | None:
    """All words as integers 0…`most`, or None if one is not."""
    numbers = [number for word in words if (number := whole(word, most=most)) is not None]
    return numbers if len(numbers) == len(words) else None


def words_of(text: str, *, most: int = 120) -> str:
    """The first non-empty line, made printable and cut to `most` characters: a program's own words for a reason."""
    for line in text.splitlines():
        printable = "".join(char for char in line if char.isprintable()).strip()
        if printable:
            return printable if len(printable) <= most else printable[: most - 1] + "…"
    return ""


# -- the `proc` section: lines of many small files, each after its file's name

_CPULIST = re.compile(r".*/node/node([0-9]{1,5})/cpulist")
# The only paths that contain colons.
_PCI_NUMA = re.compile(r".*/([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/numa_node:(.*)")


def parse_procfs(text: str) -> Mapping[str, str]:
    """The wanted lines of each file, by its path in /proc; NUMA nodes as `node<id>`, PCI devices as `pci/<bus id>`."""
    files: dict[str, list[str]] = {}
    for line in text.split("\n"):
        if device := _PCI_NUMA.fullmatch(line):
            files[f"pci/{device[1]}"] = [device[2]]
            continue
        path, colon, rest = line.partition(":")
        if not colon:
            continue
        numa = _CPULIST.fullmatch(path)
        files.setdefault(f"node{numa[1]}" if numa else path, []).append(rest)
    return {path: "\n".join(lines) for path, lines in files.items()}


@dataclass(frozen=True, slots=True)
class PendingAnswer:
    """A node's answer so far, and when it was asked, by the monotonic clock."""

    frame: Frame
    at: float
