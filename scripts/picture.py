"""Draw docs/images/terminal.svg: what a terminal shows of a lab. All output is real.

The picture loads no font from elsewhere and has a background of its own, so it is the same on light and on dark pages.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent.parent / "docs" / "images" / "terminal.svg"
WIDTH = 96
FONTS = "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace"
FONT_FROM_ELSEWHERE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)

BEFORE = """
clbalance lab up 8
eval "$(clbalance lab env)"
clbalance lab load node[1,6] --r1m 3.2 --ut 80
clbalance lab load node3 --mem-used 15.5G
clbalance lab load node7 --gpu 0:95%:30G:train.py
clbalance lab kill node4
"""
SHOWN = (
    "clbalance load",
    "clbalance load --gpus node[6-8]",
    "clbalance run -g gpu-nodes --pick 2 --gpus 1 -- hostname",
)


def main() -> None:
    """Bring up a lab, run the commands, and write the picture."""
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "HOME": folder,
            "LANG": "C.UTF-8",
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "CLBALANCE_LAB_DIR": f"{folder}/lab",
            "COLUMNS": str(WIDTH),
        }
        try:
            output = run(shown_script(), folder, env)
        finally:
            run("clbalance lab down", folder, env)
    console = Console(record=True, file=io.StringIO(), width=WIDTH, force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(output.rstrip()), soft_wrap=True)
    PICTURE.write_text(exported(console, "clbalance"))


def exported(console: Console, title: str) -> str:
    """What was printed there, as SVG."""
    form = FONT_FROM_ELSEWHERE.sub("", CONSOLE_SVG_FORMAT).replace("Fira Code, monospace", FONTS)
    svg = console.export_svg(title=title, code_format=form)
    return "".join(line.rstrip() + "\n" for line in svg.splitlines())


def shown_script() -> str:
    """The commands, each behind a prompt, as a reader would type them."""
    lines = ["set -e", f"{{ {BEFORE} }} >&2"]
    for command in SHOWN:
        lines += [f"cat <<'END'\n\033[32m$\033[0m \033[1m{command}\033[0m\nEND", f"{coloured(command)} 2>&1", "echo"]
    return "\n".join(lines)


def coloured(command: str) -> str:
    """The command as it looks on a terminal, although its output goes into a pipe."""
    program, verb, *rest = command.split(" ")
    return " ".join([program, verb, "--color", "always", *rest])


def run(script: str, folder: str, env: dict[str, str]) -> str:
    """What it prints on standard output."""
    done = subprocess.run(["bash", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, timeout=120, check=True)  # fmt: skip
    return done.stdout


if __name__ == "__main__":
    main()
