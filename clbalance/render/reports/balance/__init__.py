"""Reports on how work is balanced."""
