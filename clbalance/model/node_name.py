"""How a node is called."""

from typing import NewType

NodeName = NewType("NodeName", str)
"""A name that has passed the allow-list of `nodes.py`."""
