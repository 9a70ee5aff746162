"""Draws frames on the terminal: the lines that have changed, whole, from their first column on.

prompt_toolkit's own renderer compares the screen cell by cell: half of the processor time of a frame, and all that a
key waits for.
"""

from collections.abc import Callable
from itertools import groupby
from typing import Any, Final

from prompt_toolkit.application import Application
from prompt_toolkit.layout import Layout
from prompt_toolkit.output import Output
from prompt_toolkit.renderer import Renderer
from prompt_toolkit.styles import BaseStyle

from clbalance.render.lines import Line, columns_of
from clbalance.render.table import Tone

_STYLES: Final = {
    Tone.PLAIN: "",
    Tone.GOOD: "ansigreen",
    Tone.WARN: "ansiyellow",
    Tone.BAD: "bold ansired",
    Tone.QUIET: "ansibrightblack",
    Tone.STRONG: "bold",
    Tone.CHOSEN: "reverse",
}


class LineRenderer(Renderer):
    """In place of an application's renderer. It uses the whole screen, and knows no layout and no mouse."""

    def __init__(self, style: BaseStyle, output: Output, frame: Callable[[int, int], tuple[Line, ...]]) -> None:
        """`frame` gives the lines for a width and a height in columns and lines."""
        self._drawn: tuple[Line, ...] = ()
        self._frame = frame
        self._attributes = {tone: style.get_attrs_for_style_str(name) for tone, name in _STYLES.items()}
        super().__init__(style, output, full_screen=True)

    def reset(self, _scroll: bool = False, leave_alternate_screen: bool = True) -> None:
        """Forget what is drawn."""
        self._drawn = ()
        super().reset(_scroll, leave_alternate_screen)

    def render(self, app: Application[Any], layout: Layout, is_done: bool = False) -> None:
        """Draw the present frame. `is_done`: the last time; the terminal is as before then."""
        output, size = self.output, self.output.get_size()
        self._begin()
        if size != self._last_size:
            self._drawn, self._last_size = (), size
            output.cursor_goto(1, 1)
            output.erase_down()
        lines = self._frame(size.columns, size.rows)
        for at, line in enumerate(lines):
            if at >= len(self._drawn) or self._drawn[at] != line:
                output.cursor_goto(at + 1, 1)
                self._write(line, app, size.columns)
        self._drawn = lines
        output.cursor_goto(1, 1)  # from where `erase` erases all
        if is_done:
            output.enable_autowrap()
            self.reset()
        output.flush()

    def _begin(self) -> None:
        """Take the terminal. A change of its size has given back all of it but the alternate screen."""
        if self._bracketed_paste_enabled:
            return
        self._bracketed_paste_enabled = True
        if not self._in_alternate_screen:
            self._in_alternate_screen = True
            self.output.enter_alternate_screen()
        self.output.enable_bracketed_paste()
        self.output.reset_cursor_key_mode()
        self.output.hide_cursor()
        self.output.disable_autowrap()

    def _write(self, line: Line, app: Application[Any], columns: int) -> None:
        output, taken = self.output, 0
        for tone, cells in groupby(line, key=lambda cell: cell.tone):
            text = "".join(cell.text for cell in cells)
            output.set_attributes(self._attributes[tone], app.color_depth)
            output.write(text)
            taken += columns_of(text)
        output.reset_attributes()
        if taken < columns:
            output.erase_end_of_line()
