"""Reports on a period: the arithmetic."""
