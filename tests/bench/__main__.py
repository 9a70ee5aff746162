"""The command line of the benchmarks."""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from clbalance.errors import LabError
from clbalance.lab.cluster import Lab
from clbalance.lab.spec import LabSpec

from . import (
    agent,
    choosing,
    copying,
    few_nodes,
    forecasting,
    gpu_states,
    mapping,
    placing,
    playing,
    plugins,
    rebalancing,
    replaying,
    running,
    scale,
    screen,
    shell,
    startup,
    sweeping,
    tasks,
)
from .asking import answers
from .figure import Figure, Skipped, table
from .machine import load, machine
from .processor import processor_time
from .programs import ROOT, Programs, find_programs
from .question import Asked, Measurement, Question, chosen, listed, unknown
from .record import Document, document, index, page, skipped_lines
from .site import Site, WrongRunError

ASKED: tuple[Asked, ...] = (
    *startup.QUESTIONS,
    *sweeping.QUESTIONS,
    *running.QUESTIONS,
    *tasks.QUESTIONS,
    *mapping.QUESTIONS,
    *copying.QUESTIONS,
    *playing.QUESTIONS,
    *replaying.QUESTIONS,
    *sweeping.MEASUREMENTS,
    *plugins.MEASUREMENTS,
    *shell.MEASUREMENTS,
    *agent.MEASUREMENTS,
    *playing.MEASUREMENTS,
    *placing.MEASUREMENTS,
    *gpu_states.MEASUREMENTS,
    *few_nodes.MEASUREMENTS,
    *forecasting.MEASUREMENTS,
    *rebalancing.MEASUREMENTS,
    *choosing.MEASUREMENTS,
    *screen.MEASUREMENTS,
    *scale.MEASUREMENTS,
)
RECORDS = ROOT / "docs" / "benchmarks"


def main(words: Sequence[str] | None = None) -> int:
    """0 when every figure is within its limit, 1 when one is not, 2 when ours failed at a question."""
    parser = _parser()
    typed = parser.parse_args(words)
    if wrong := unknown(ASKED, typed.names):
        parser.error(f"no question `{wrong[0]}`; `--list` shows them")
    if typed.pairs < 1:
        parser.error("--pairs is 1 or more")
    asked = chosen(ASKED, typed.names)
    if typed.list:
        sys.stdout.write(listed(asked))
        return 0
    began, programs, about = datetime.now(UTC), find_programs(), machine()
    told, is_whole = _measure(asked, typed.pairs, programs)
    figures = [one for one in told if isinstance(one, Figure)]
    skipped = [one for one in told if isinstance(one, Skipped)]
    found = document(
        date=began.strftime("%Y-%m-%d %H:%M UTC"),
        machine={**about, "load": f"{about['load']} before, {load()} after"},
        programs=programs.versions,
        rounds=typed.pairs,
        figures=figures,
        skipped=skipped,
    )
    _show(found, figures)
    if typed.json is not None:
        _write_json(typed.json, found)
    if not is_whole:
        return 130
    if typed.record:
        _record(f"{began:%Y-%m-%d}", found, figures)
    if any(not one.peer for one in skipped):
        return 2
    return 0 if all(figure.holds for figure in figures) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Ask clbalance and its peers, in pairs.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="questions, or the beginning of several up to a dash; all without"
    )
    parser.add_argument("--list", action="store_true", help="show the questions, their peers and limits; ask nothing")
    parser.add_argument("--pairs", type=int, default=11, metavar="N", help="how often each is asked (11)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--record", action="store_true", help="keep them in docs/benchmarks, under today's date")
    return parser


def _measure(asked: Sequence[Asked], pairs: int, programs: Programs) -> tuple[list[Figure | Skipped], bool]:
    """All that was found, also after an interrupt; and whether there was none."""
    # Ignored ones, too: ours and peers are asked to stop.
    for stopping in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(stopping, signal.default_int_handler)
    told: list[Figure | Skipped] = []
    try:
        # Short, for control sockets live in it, and their paths have 108 bytes.
        with tempfile.TemporaryDirectory(prefix="clb-bench-", dir="/tmp") as folder, processor_time() as processor:
            site = Site(folder=Path(folder), rounds=pairs, programs=programs, processor=processor)
            for one in _tell_each(asked, site):
                sys.stderr.write(one.line())
                told.append(one)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return told, False
    return told, True


def _tell_each(asked: Sequence[Asked], site: Site) -> Iterator[Figure | Skipped]:
    """Questions that need the same lab have the same one."""
    by_lab: dict[LabSpec | None, list[Asked]] = {}
    for one in asked:
        by_lab.setdefault(one.lab if isinstance(one, Question) else None, []).append(one)
    for number, (spec, group) in enumerate(by_lab.items()):
        if spec is None:
            yield from _tell(group, site, None)
            continue
        try:
            with Lab.up(site.folder / f"lab{number}", spec) as lab:
                yield from _tell(group, site, lab)
        except LabError as wrong:
            yield from (Skipped(name=one.name, reason=site.told(str(wrong))) for one in group)


def _tell(asked: Sequence[Asked], site: Site, lab: Lab | None) -> Iterator[Figure | Skipped]:
    for one in asked:
        sys.stderr.write(f"{one.name} ...\n")
        try:
            yield from one.take(site) if isinstance(one, Measurement) else answers(one, site, lab)
        except (WrongRunError, LabError) as wrong:
            yield Skipped(name=one.name, reason=site.told(str(wrong)))


def _show(found: Document, figures: Sequence[Figure]) -> None:
    sys.stdout.write("".join(f"{fact}: {value}\n" for fact, value in found["machine"].items()))
    sys.stdout.write(f"\n{table(figures)}")
    if found["skipped"]:
        sys.stdout.write(
            "\nNot asked, or not answered:\n" + "".join(f"{one}\n" for one in skipped_lines(found["skipped"]))
        )


def _record(day: str, found: Document, figures: Sequence[Figure]) -> None:
    """A second one of a day gets a number; the index is of all that are there."""
    RECORDS.mkdir(exist_ok=True)
    names = (day, *(f"{day}-{number}" for number in range(2, 100)))
    name = next(name for name in names if not (RECORDS / f"{name}.json").exists())
    _write_json(RECORDS / f"{name}.json", found)
    (RECORDS / f"{name}.md").write_text(page(name, found, figures))
    (RECORDS / "index.md").write_text(
        index({file.stem: json.loads(file.read_text()) for file in RECORDS.glob("*.json")})
    )
    sys.stderr.write(f"kept in docs/benchmarks/{name}.md\n")


def _write_json(path: Path, found: Document) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
