"""What `report` does."""
