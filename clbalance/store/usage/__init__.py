"""What sweeps record of the use of nodes by jobs."""
