"""What is typed about nodes."""
