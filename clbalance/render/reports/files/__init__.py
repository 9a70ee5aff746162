"""Reports of `copy` and `fetch`."""
