"""Public load series: cpu use in per cent, a value every five minutes (source and licence: README.md)."""

import gzip
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@cache
def public_series() -> dict[str, list[float]]:
    """The series that are kept here, by name."""
    lines = gzip.decompress((_FOLDER / "nab.txt.gz").read_bytes()).decode("ascii").splitlines()
    return {name: list(map(float, values)) for name, *values in (line.split() for line in lines)}


def series_in(folder: Path, most: int) -> dict[str, list[float]]:
    """The series of a folder, evenly drawn from its files if there are more than `most`.

    A line of a file is a value, or begins with one (PlanetLab's, and those from Google's trace), or is `time,value`.
    """
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    chosen = files[:: max(1, len(files) // most)][:most]
    found = {file.name: [_value(line) for line in file.read_text().splitlines() if _is_data(line)] for file in chosen}
    return {name: values for name, values in found.items() if len(values) > 24}


def _value(line: str) -> float:
    return float(line.rpartition(",")[2].split()[0])


def _is_data(line: str) -> bool:
    return bool(line.strip()) and line[0].isdigit()
