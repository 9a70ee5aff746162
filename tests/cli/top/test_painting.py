"""What the renderer of `top` takes of a terminal, as an emulator has it."""

import io

import pyte
from prompt_toolkit.application import Application
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import DummyInput
from prompt_toolkit.output.vt100 import Vt100_Output

from clbalance.cli.top.painting import LineRenderer
from clbalance.render.table import Cell


def test_a_change_of_size_leaves_pasted_text_told_from_keys_and_no_cursor() -> None:
    emulator, file = pyte.Screen(20, 3), io.StringIO()
    stream = pyte.Stream(emulator)

    def shown() -> tuple[set[int], bool]:
        stream.feed(file.getvalue())
        file.seek(0)
        file.truncate()
        return set(emulator.mode), emulator.cursor.hidden

    output = Vt100_Output(file, lambda: Size(rows=3, columns=20), enable_cpr=False)
    app: Application[None] = Application(output=output, input=DummyInput())
    renderer = LineRenderer(app.renderer.style, output, lambda *_: ((Cell("row"),),))
    renderer.render(app, app.layout)
    before = shown()
    renderer.erase(leave_alternate_screen=False)  # what prompt_toolkit does when the size has changed
    assert shown() != before
    renderer.render(app, app.layout)
    assert shown() == before
    assert emulator.display[0].strip() == "row"
