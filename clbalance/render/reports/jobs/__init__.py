"""Reports on jobs."""
