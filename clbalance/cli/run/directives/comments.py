"""The comment lines of a script, where options for schedulers stand."""

from io import BytesIO

from clbalance.lazy_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentLine:
    """One comment line."""

    number: int
    """From 1."""
    text: bytes
    """Without the end of the line."""
    is_leading: bool
    """It stands before the first command: only such lines are read."""


def comment_lines(content: bytes) -> list[CommentLine]:
    """The lines that begin with `#`, maybe after blanks, up to a NUL: an archive may follow it."""
    found: list[CommentLine] = []
    is_leading = True
    for number, line in enumerate(BytesIO(content.partition(b"\0")[0]), 1):
        if line.lstrip().startswith(b"#"):
            found.append(CommentLine(number=number, text=line.rstrip(), is_leading=is_leading))
        elif line.strip():
            is_leading = False
    return found
