"""Options of `run` that stand in the comments of a script: `#CLB` lines, and Slurm's."""
