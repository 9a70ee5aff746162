"""Trees of files: read as the sources of a copy, and written as the results of a fetch (docs/design/copy.md)."""

from clbalance.user_files.trees.reading import SourceRefusedError, SourceTree, open_source

__all__ = ["SourceRefusedError", "SourceTree", "open_source"]
