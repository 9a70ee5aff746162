"""Slurm as an engine: its programs, and the folders of its jobs (docs/design/engines.md)."""
