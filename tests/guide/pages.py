"""What README.md and the pages of docs/guide tell a reader to type, as one script for each page.

Blocks fenced as ```console are transcripts. Lines that begin with `$ ` are commands, the others are output. A command
that is followed by `$ echo $?` has to exit with the code that the transcript shows; every other one with 0.

A comment on the line before a block says more:

    <!-- file: job.sh -->              the block is a file that the reader saves
    <!-- needs: mpirun -->             the transcript is for readers who have this program
    <!-- not run: it needs PyTorch --> the transcript is not run, for this reason
"""

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import clbalance

ROOT = Path(__file__).parent.parent.parent
PACKAGE = str(Path(clbalance.__file__).parent.parent)
README = ROOT / "README.md"
GUIDE = tuple(sorted((ROOT / "docs" / "guide").glob("*.md")))
_BLOCK = re.compile(
    r"^(?:<!-- (?P<note>file|needs|not run): (?P<value>[^\n]+) -->\n)?```(?P<language>\S+)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_ASKS_FOR_CODE = "echo $?"
_MESSAGE = re.compile("clbalance: |hint: ")
_DIFFERS = re.compile(r"node(\[.*?\]|\d+)|[\d.]+|(?<=by )\w+|(?<=GPU|ask|lot)s")


@dataclass(frozen=True, slots=True)
class Block:
    language: str
    text: str
    note: str = ""
    value: str = ""

    def commands(self) -> Iterator[tuple[str, int]]:
        """Each with its exit code; a line that ends with a backslash goes on."""
        lines = re.sub(r"\\\n *", "", self.text).splitlines()
        typed = [(i, line[2:]) for i, line in enumerate(lines) if line.startswith("$ ")]
        for (_, command), (i, next_one) in zip(typed, [*typed[1:], (0, "")], strict=True):
            if command != _ASKS_FOR_CODE:
                yield command, int(lines[i + 1]) if next_one == _ASKS_FOR_CODE else 0


def blocks(page: Path) -> list[Block]:
    return [
        Block(found["language"], found["text"], found["note"] or "", found["value"] or "")
        for found in _BLOCK.finditer(page.read_text())
    ]


def programs(page: Path) -> set[str]:
    """Those that some of its transcripts need."""
    return {block.value for block in blocks(page) if block.note == "needs"}


def script(page: Path, program: str = "") -> str:
    """All of its transcripts; or those for readers who have this program, with the files they were told to save."""
    lines = ["set -e"]
    for block in blocks(page):
        if block.note == "file":
            lines.append(f"printf %s {shlex.quote(block.text)} > {block.value}")
        elif _is_typed(block, program):
            lines += [_checked(command, code) for command, code in block.commands()]
    return "\n".join(lines) + "\n"


def _is_typed(block: Block, program: str) -> bool:
    """By readers who have the program; by all, if there is none."""
    return block.language == "console" and (block.note, block.value) == (("needs", program) if program else ("", ""))


def _checked(command: str, code: int) -> str:
    said = f"echo {shlex.quote('$ ' + command)} >&2\n"
    if code == 0:
        return f"{said}{command}"
    return f"{said}if\n{command}\nthen code=0; else code=$?; fi\n[ $code = {code} ] || {{ echo $code >&2; exit 1; }}"


def type_all(page: Path, program: str, folder: Path, env: dict[str, str]) -> None:
    """Type the page's commands into a shell that works in `folder`.

    Each has to exit as the page says. Each message that the page shows has to be among those that come.
    """
    done = subprocess.run(
        ["bash", "-c", script(page, program)], env=env, cwd=folder, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=800, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    came = {_alike(line) for line in done.stdout.splitlines()}
    typed = [block for block in blocks(page) if _is_typed(block, program)]
    shown = [line for block in typed for line in block.text.splitlines() if _MESSAGE.match(line)]
    missing = [line for line in shown if _alike(line) not in came]
    assert not missing, f"not among what came: {missing}\n{done.stdout}"


def _alike(message: str) -> str:
    """The message without what differs from one run to the next: nodes, numbers and plurals, users."""
    return _DIFFERS.sub("", message)
