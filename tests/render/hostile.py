"""Text that wants to act on a terminal, on a reader, or on the width of a line."""

import random

_PARTS = (
    "\x1b[2J", "\x1b[H", "\x1b[31;7m", "\x1b[?1049l", "\x1b[10;1H", "\x1bc", "\x1b[6n", "\x1b[>c", "\x1bP+q544e\x1b\\",
    "\x1b]0;title\x07", "\x1b]2;title\x1b\\", "\x1b]52;c;Y2xpcGJvYXJk\x07", "\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\",
    "\x9b2J", "\x9d0;title\x9c", "\x90q\x9c", "\x85", "\x84",
    "\r", "\n", "\r\n", "\t", "\b\b\b", "\x00", "\x07", "\x0b", "\x0c", "\x0e", "\x7f", "\v",
    "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\ufeff", "\u2028", "\u2029", "\u00ad", "\U000e0041",
    "e\u0301", "\u0301" * 20, "a\u20dd", "\ufe0f", "\u1160", "漢字", "カ", "\U0001f469\u200d\U0001f680", "\uff57", "ﷺ",
    "\ud800", "\udc80", "\udfff", "[bold red]x[/]", "%s%n", "{0}", "$(id)", "`id`", "&&", "=1+1", "..", "/", "",
    "node1", " ", "  ", "plain words", "10.0.0.1",
)  # fmt: skip


def hostile_text(rng: random.Random) -> str:
    """Usually short; now and then 10 KB."""
    if rng.random() < 0.01:
        return rng.choice(_PARTS) * (10_000 // 4) + "x" * 1000
    parts = [
        rng.choice(_PARTS) if rng.random() < 0.9 else chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 6))
    ]
    return "".join(parts)
