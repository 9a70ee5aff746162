"""Programs of this host that are asked about nodes: upcalls of group sources, and Slurm."""
