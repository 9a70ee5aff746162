"""Answers a shell that asks what may stand at the cursor (docs/design/completion.md). It asks no node.

Everything here but `declared` is imported at each press of the Tab key: no typer, no dataclasses.
"""
