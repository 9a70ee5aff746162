"""Reports on nodes."""
