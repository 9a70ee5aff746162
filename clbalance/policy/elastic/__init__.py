"""Which nodes of a pool to start and to stop."""
