"""The language of `--where` and `--order`: load indices, facts and labels (docs/design/expressions.md). Pure."""
