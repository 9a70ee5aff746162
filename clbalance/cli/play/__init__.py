"""What `play` does."""
