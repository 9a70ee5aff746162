"""A small language over load indices, facts and labels, for `--where` and `--order` (docs/design/expressions.md)."""
