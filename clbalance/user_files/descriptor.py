"""An open descriptor that is closed once."""

import os
from types import TracebackType
from typing import Self


class Descriptor:
    """`fd`: below 0 if it is closed, or there is none."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """May be called twice."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
