"""Reports on balancing."""
