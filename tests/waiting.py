"""Waiting for what only time brings."""

import time
from collections.abc import Callable
from typing import TypeVar

SOON_S = 100.0
"""Within this is done what takes a moment, on a machine so busy that everything stops now and then.

For what would else wait for longer than this, or for ever. A smaller bound tells how busy the machine was.
"""

_Value = TypeVar("_Value")


def eventually(holds: Callable[[], _Value], within_s: float = 120.0) -> _Value:
    """What `holds` returns, once that counts as true. A file or process that is not there yet is waited for, too.

    How soon is no promise, unless the test says so: a busy machine is slow. The limit only ends a test that hangs.
    """
    give_up_at = time.monotonic() + within_s
    while True:
        is_late = time.monotonic() > give_up_at  # asked first: the last look is one after the limit
        value, missing = None, None
        try:
            value = holds()
        except (FileNotFoundError, ProcessLookupError) as error:
            missing = error
        if value:
            return value
        assert not is_late, f"it never came true ({missing or value})"
        time.sleep(0.01)
