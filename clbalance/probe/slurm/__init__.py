"""What Slurm says of its nodes and jobs."""
