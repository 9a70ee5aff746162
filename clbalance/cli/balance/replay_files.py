"""The files of `replay`: jobs and nodes as CSV, logs in the Standard Workload Format, packed by gzip or not."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from gzip import BadGzipFile, GzipFile
from io import BufferedReader, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import TextIO

from clbalance.errors import ClbalanceError, TraceError
from clbalance.model import Measured
from clbalance.model.trace import Trace
from clbalance.trace.csv_files import JOB_COLUMNS, NODE_COLUMNS, parse_jobs, parse_nodes
from clbalance.trace.swf import SwfLog, looks_like_swf, parse_swf
from clbalance.written_text import LOOKED_AT, NotUtf8Error, without_bom


def read_file(file: Path) -> Trace | SwfLog | tuple[Measured, ...]:
    """The content of a file, by what stands in it; a name in `.swf` tells it too."""
    name = str(file)
    with _opened(file) as opened:
        first = opened.readline()
        lines = chain((first,), opened)
        heading = [cell.strip() for cell in first.split(",")]
        if file.name.endswith((".swf", ".swf.gz")) or looks_like_swf(first):
            return parse_swf(name, lines)
        if "job" in heading:
            return parse_jobs(name, lines)
        if "name" in heading:
            return parse_nodes(name, lines)
    raise TraceError(
        f"{name}:1: neither a heading of jobs nor of nodes",
        hint=f"begin with {','.join(JOB_COLUMNS)} or with {','.join(NODE_COLUMNS)}; end the name of other logs in .swf",
    )


_GZIP = b"\x1f\x8b"


@contextmanager
def _opened(file: Path) -> Iterator[TextIO]:
    """The text of a file, unpacked if its content is gzip's, whatever its name."""
    # Old logs have names and comments in many encodings; nothing reads them, so undecodable bytes do not matter.
    try:
        with file.open("rb") as raw:
            packed = raw.peek(len(_GZIP)).startswith(_GZIP)
            content = BufferedReader(GzipFile(fileobj=raw)) if packed else raw
            without_bom(content.peek(LOOKED_AT)[:LOOKED_AT])
            with TextIOWrapper(content, encoding="utf-8-sig", errors="replace", newline="") as text:
                yield text
    except NotUtf8Error as error:
        raise TraceError(f"{file}: {error}", hint=error.hint) from error
    except FileNotFoundError as error:
        hint = "a file of jobs or of nodes; nodes are named with `-w`"
        raise ClbalanceError(f"{file}: {error.strerror}", hint=hint) from error
    except (BadGzipFile, EOFError, zlib.error) as error:
        hint = "it is damaged, or only a part of it has arrived: `gzip -t FILE` says so too; get it again"
        raise TraceError(f"{file}: {error}", hint=hint) from error
