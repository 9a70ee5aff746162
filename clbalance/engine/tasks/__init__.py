"""Run the many tasks of one task job on slots."""
