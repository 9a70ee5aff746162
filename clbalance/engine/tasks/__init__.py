"""Run many tasks as one job, on slots."""
