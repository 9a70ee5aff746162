"""Sections of the design pages as roff: what settings and expressions mean is written once."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from man_pages.roff import bold, bullet, example, paragraph, plain, tagged

_PAGE = re.compile(r" \((?:\[[\w.-]+\]\([\w.-]+\.md\)|[\w/.-]+\.md)\)")
"""A reference to another design page, which readers of man pages do not have."""


def document_section(file: Path, title: str) -> str:
    """The section below `## title`; `LookupError` if there is none."""
    text = _PAGE.sub("", file.read_text("utf-8"))
    blocks = iter(SyntaxTreeNode(MarkdownIt().enable("table").parse(text)).children)
    for block in blocks:
        if block.type == "heading" and block.children[0].content == title:
            return "\n".join(_section(blocks))
    raise LookupError(f"{file} has no section `{title}`")


def _section(blocks: Iterator[SyntaxTreeNode]) -> Iterator[str]:
    for block in blocks:
        if block.type == "heading":
            return
        yield from _block(block)


def _block(block: SyntaxTreeNode) -> Iterator[str]:
    match block.type:
        case "paragraph":
            yield paragraph(_text(block))
        case "bullet_list":
            yield from (bullet(" ".join(map(_text, item.children))) for item in block.children)
        case "fence" | "code_block":
            yield example(block.content.rstrip("\n").split("\n"))
        case "table":
            for row in block.children[1].children:
                first, *others = map(_text, row.children)
                yield tagged(first, "; ".join(filter(None, others)))
        case other:
            raise ValueError(f"man pages cannot show a {other}")


def _text(node: SyntaxTreeNode) -> str:
    """The text of a paragraph or a cell."""
    return "".join(_piece(piece) for inline in node.children for piece in inline.children)


def _piece(piece: SyntaxTreeNode) -> str:
    within = "".join(map(_piece, piece.children))
    match piece.type:
        case "text":
            return plain(piece.content)
        case "softbreak":
            return " "
        case "code_inline":
            return bold(piece.content)
        case "strong":
            return rf"\fB{within}\fR"
        case "em":
            return rf"\fI{within}\fR"
        case "link":
            address = str(piece.attrs["href"])
            return f"{within} {plain(address)}" if address.startswith("http") else within
        case other:
            raise ValueError(f"man pages cannot show {other}: {piece.content}")
