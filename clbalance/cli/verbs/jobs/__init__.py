"""What is typed about jobs."""
