"""The standard input of a job that has none."""


class NoInput:
    """An empty standard input."""

    path = None
    live = None

    def read(self, offset: int, size: int) -> bytes:
        return b""
