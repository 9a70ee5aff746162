"""Slurm's states in our words, and our requests in Slurm's (docs/design/engines.md). Pure."""
