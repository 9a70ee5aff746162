"""The screen of `top` as lines: its data, the rows of each view, and a frame of any size. Nothing is printed here."""
